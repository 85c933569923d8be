/**
 * What the same votes cost with OpenZeppelin's contracts alone, of the same modules and as clones: rows of gas.test.ts beside which
 * ours are read. Same compiler, settings, calls, holders and times.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { network } from "hardhat";
import {
  type Abi,
  type Account,
  type Address,
  createPublicClient,
  createWalletClient,
  custom,
  decodeEventLog,
  encodeDeployData,
  encodeFunctionData,
  type Hex,
  keccak256,
  stringToHex,
} from "viem";
import { expect } from "vitest";

import { settings } from "../../hardhat.config.ts";

type Name = "PlainShares" | "PlainGovernor" | "PlainTimelock" | "PlainModels";
type Compiled = Readonly<
  Record<Name, { readonly abi: Abi; readonly evm: { readonly bytecode: { readonly object: string } } }>
>;
type Proposal = readonly [targets: readonly Address[], values: readonly bigint[], calls: readonly Hex[], text: string];

interface Measuring {
  readonly accounts: readonly Account[];
  readonly governor: {
    readonly votingDelay: number;
    readonly votingPeriod: number;
    readonly proposalThreshold: bigint;
    readonly quorumBps: number;
    readonly lateQuorumExtension: number;
    readonly timelockDelay: number;
  };
  /** By the names of their rows. The first is voted on and queued. */
  readonly proposals: Readonly<Record<string, Proposal>>;
}

const share = 10n ** 18n;
const solidity = new URL("plain/PlainModel.sol", import.meta.url);

function compile(): Compiled {
  const { compile: solc } = createRequire(import.meta.url)("solc") as {
    compile: (input: string, callbacks: { import: (path: string) => { contents: string } }) => string;
  };
  const modules = new URL("../../node_modules/", import.meta.url);
  const input = {
    language: "Solidity",
    sources: { "PlainModel.sol": { content: readFileSync(solidity, "utf8") } },
    settings: { ...settings, outputSelection: { "PlainModel.sol": { "*": ["abi", "evm.bytecode.object"] } } },
  };
  const read = (path: string): { contents: string } => ({ contents: readFileSync(new URL(path, modules), "utf8") });
  const output = JSON.parse(solc(JSON.stringify(input), { import: read })) as {
    errors?: readonly { readonly severity: string; readonly formattedMessage: string }[];
    contracts: { "PlainModel.sol": Compiled };
  };
  expect(output.errors?.filter(({ severity }) => severity === "error") ?? []).toEqual([]);
  return output.contracts["PlainModel.sol"];
}

export async function measurePlain({ accounts, governor: of, proposals }: Measuring): Promise<Record<string, number>> {
  const compiled = compile();
  const connection = await network.create({ override: { initialDate: new Date(1_800_000_000_000) } });
  const transport = custom({ request: (call) => connection.provider.request(call) });
  const publicClient = createPublicClient({ transport, pollingInterval: 5 });
  const rows: Record<string, number> = {};
  const sent = async (from: number, to: Address | undefined, data: Hex) => {
    const wallet = createWalletClient({ account: accounts[from]!, transport });
    const hash = await wallet.sendTransaction({ chain: null, data, ...(to && { to }) });
    const receipt = await publicClient.waitForTransactionReceipt({ hash });
    expect(receipt.status).toBe("success");
    return receipt;
  };
  const create = async (name: Name, args: readonly unknown[]): Promise<Address> => {
    const { abi, evm } = compiled[name];
    const { contractAddress } = await sent(
      0,
      undefined,
      encodeDeployData({ abi, bytecode: `0x${evm.bytecode.object}`, args }),
    );
    return contractAddress!;
  };
  const send = (from: number, to: Address, name: Name, functionName: string, args: readonly unknown[]) =>
    sent(from, to, encodeFunctionData({ abi: compiled[name].abi, functionName, args }));
  const row = (name: string, { gasUsed }: { readonly gasUsed: bigint }): void => {
    rows[`OpenZeppelin alone: ${name}`] = Number(gasUsed);
  };
  let time = 1_800_001_000;
  const at = (later: number) =>
    connection.provider.request({ method: "evm_setNextBlockTimestamp", params: [(time += later)] });

  const models = await create("PlainModels", [await create("PlainGovernor", [])]);
  const { votingDelay, votingPeriod, proposalThreshold, quorumBps, lateQuorumExtension, timelockDelay } = of;
  const made = await send(0, models, "PlainModels", "create", [
    keccak256(stringToHex("plain")),
    "Gas",
    votingDelay,
    votingPeriod,
    proposalThreshold,
    quorumBps,
    lateQuorumExtension,
    timelockDelay,
  ]);
  row("create shares, governor and timelock", made);
  const { abi } = compiled.PlainModels;
  const created = decodeEventLog({ abi, ...made.logs.at(-1)! }) as unknown as { args: Record<string, Address> };
  const { shares, governor } = created.args as Record<"shares" | "governor", Address>;

  // Twice minted as a whole and handed on to four holders, as ours are; two of them delegate to themselves before it.
  const voters = [3, 5, 2] as const;
  for (const voter of voters.slice(0, 2))
    await send(voter, shares, "PlainShares", "delegate", [accounts[voter]!.address]);
  for (let minted = 0; minted < 2; minted++) {
    await at(10);
    await send(0, shares, "PlainShares", "mint", [accounts[0]!.address, 467n * share]);
    for (const [index, amount] of [300n, 40n, 20n, 5n].entries())
      await send(0, shares, "PlainShares", "transfer", [accounts[index + 2]!.address, amount * share]);
  }
  await send(2, shares, "PlainShares", "delegate", [accounts[2]!.address]);

  await at(100);
  const [[, first] = [], ...others] = Object.entries(proposals);
  if (first === undefined) throw new TypeError("There is no proposal to measure.");
  const proposed = async (name: string, proposal: Proposal): Promise<void> =>
    row(name, await send(3, governor, "PlainGovernor", "propose", proposal));
  await proposed(Object.keys(proposals)[0]!, first);

  const described = [...first.slice(0, 3), keccak256(stringToHex(first[3]))];
  const { abi: governing } = compiled.PlainGovernor;
  const id = await publicClient.readContract({
    address: governor,
    abi: governing,
    functionName: "hashProposal",
    args: described,
  });
  await at(2);
  for (const [voter, name] of [
    [5, "castVote, before the quorum"],
    [2, "castVote, reaching the quorum"],
    [3, "castVote, after the quorum"],
  ] as const) {
    row(name, await send(voter, governor, "PlainGovernor", "castVote", [id, 1]));
  }
  await at(60);
  row("queue", await send(3, governor, "PlainGovernor", "queue", described));
  for (const [name, proposal] of others) await proposed(name, proposal);
  return rows;
}
