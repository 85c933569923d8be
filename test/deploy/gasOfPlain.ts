/**
 * What proposals and votes cost in a governor of OpenZeppelin's modules alone, as a clone with a timelock that is one, over the model's
 * own shares: rows of gas.test.ts beside those of ModelGovernor.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { proposalIdOf } from "@cotrain/sdk/actions";
import {
  type Abi,
  type Address,
  concatHex,
  encodeFunctionData,
  type Hex,
  keccak256,
  stringToHex,
  zeroAddress,
} from "viem";

import { settings } from "../../hardhat.config.ts";

const require = createRequire(import.meta.url);
const solc = require("solc") as {
  readonly compile: (input: string, callbacks: { readonly import: (path: string) => object }) => string;
};
const SOURCE = "PlainGovernor.sol";
const TIMELOCK = "@openzeppelin/contracts-upgradeable/governance/TimelockControllerUpgradeable.sol";

interface Compiled {
  readonly abi: Abi;
  readonly evm: { readonly bytecode: { readonly object: string } };
}

const read = (path: string) => ({ contents: readFileSync(require.resolve(path), "utf8") });

function compiled(): Readonly<Record<"governor" | "timelock", Compiled>> {
  const content = readFileSync(new URL(SOURCE, import.meta.url), "utf8");
  const outputSelection = {
    "*": { PlainGovernor: ["abi", "evm.bytecode"], TimelockControllerUpgradeable: ["abi", "evm.bytecode"] },
  };
  const input = {
    language: "Solidity",
    sources: { [SOURCE]: { content } },
    settings: { ...settings, outputSelection },
  };
  const { contracts } = JSON.parse(solc.compile(JSON.stringify(input), { import: read })) as {
    readonly contracts: Readonly<Record<string, Readonly<Record<string, Compiled>>>>;
  };
  return {
    governor: contracts[SOURCE]!["PlainGovernor"]!,
    timelock: contracts[TIMELOCK]!["TimelockControllerUpgradeable"]!,
  };
}

const call = ({ abi }: Compiled, functionName: string, args: readonly unknown[]) =>
  encodeFunctionData({ abi, functionName, args });

interface Receipt {
  readonly gasUsed: bigint;
  readonly contractAddress?: Address | null | undefined;
}

interface Measuring {
  readonly shares: Address;
  readonly settings: {
    readonly votingDelay: number;
    readonly votingPeriod: number;
    readonly proposalThreshold: bigint;
    readonly quorumBps: number;
    readonly lateQuorumExtension: number;
    readonly timelockDelay: number;
  };
  /** Calls of a proposal of 23 words and of one of 2, and what they are to. */
  readonly target: Address;
  readonly long: Hex;
  readonly short: Hex;
  /** By the account of this index: of those that vote 5 has too little for a quorum, 2 enough. */
  readonly send: (from: number, to: Address | null, data: Hex) => Promise<Receipt>;
  readonly row: (name: string, receipt: Receipt) => void;
  readonly now: () => Promise<bigint>;
  /** The next block has this time. */
  readonly at: (time: bigint) => Promise<unknown>;
}

export async function measurePlain({ shares, settings: terms, target, long, short, ...by }: Measuring): Promise<void> {
  const { send, row, now, at } = by;
  const { governor: plain, timelock: lock } = compiled();
  const cloneOf = async ({ evm }: Compiled): Promise<Address> => {
    const { contractAddress } = await send(0, null, `0x${evm.bytecode.object}`);
    // EIP-1167, as OpenZeppelin's Clones makes it.
    const code = concatHex([
      "0x3d602d80600a3d3981f3363d3d373d3d3d363d73",
      contractAddress!,
      "0x5af43d82803e903d91602b57fd5bf3",
    ]);
    return (await send(0, null, code)).contractAddress!;
  };
  const [governor, timelock] = [await cloneOf(plain), await cloneOf(lock)];
  const roles = [BigInt(terms.timelockDelay), [governor], [zeroAddress], zeroAddress];
  await send(0, timelock, call(lock, "initialize", roles));
  const { votingDelay, votingPeriod, proposalThreshold, quorumBps, lateQuorumExtension } = terms;
  const config = [
    shares,
    timelock,
    votingDelay,
    votingPeriod,
    proposalThreshold,
    BigInt(quorumBps),
    lateQuorumExtension,
  ];
  await send(0, governor, call(plain, "initialize", config));

  const to = (functionName: string, args: readonly unknown[]) => call(plain, functionName, args);
  const proposed = (await now()) + 2n;
  await at(proposed);
  const long23 = await send(3, governor, to("propose", [[target], [0n], [long], "H = 128"]));
  row("plain OpenZeppelin: propose (setParams, 23 words)", long23);
  const posted = await send(3, governor, to("propose", [[target], [0n], [short], "Poster"]));
  row("plain OpenZeppelin: propose (setPoster, 2 words)", posted);
  const described = [[target], [0n], [long], keccak256(stringToHex("H = 128"))];
  const id = proposalIdOf({ targets: [target], values: [0n], calldatas: [long], description: "H = 128" });
  for (const [index, [voter, name]] of (
    [
      [5, "before the quorum"],
      [2, "reaching the quorum"],
      [3, "after the quorum"],
    ] as const
  ).entries()) {
    await at(proposed + BigInt(votingDelay + 1 + index));
    row(`plain OpenZeppelin: castVote, ${name}`, await send(voter, governor, to("castVote", [id, 1])));
  }
  await at(proposed + BigInt(votingDelay + votingPeriod + lateQuorumExtension + 4));
  row("plain OpenZeppelin: queue", await send(3, governor, to("queue", described)));
}
