/** Commands that sign, where the node that answers for the chain lies about proposals, or about which contracts are a model's. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import * as actions from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";
import { toFunctionSelector, toHex, zeroHash } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { getTransactionCount } from "viem/actions";
import { afterAll, beforeAll, expect, test } from "vitest";

import { pinsOf, writeDeployment } from "../../../offchain/src/run/index.ts";
import { ensureKeystore } from "../../../offchain/src/service/index.ts";
import { holders } from "../../sdk/holders.ts";
import { alice, bob, createWorld, stranger, type World } from "../../sdk/world.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

interface Asked {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}
interface Receipt {
  readonly logs: readonly { readonly data: Hex }[];
}

const cleanups: (() => void)[] = [];
/** A proposal of another's, on which votes are cast. */
let theirs: bigint;
let world: World;
/** What every command is told: run, contracts, the lying node, and Alice's wallet. */
let place: string[];
/** What the node makes of its answers to a call of one function; nothing in between. */
let lie: { readonly selector: Hex; readonly told: (answer: Hex) => Hex } | undefined;

beforeAll(async () => {
  world = await createWorld();
  await holders(world);
  const { governor, addresses, runId, blocks, clientOf } = world;
  const calls = [actions.setPoster.call({ addresses, runId, poster: stranger.address })];
  const { event } = await actions.propose.sync(clientOf(bob), { governor, calls, description: "Let me post" });
  theirs = event.proposalId;
  await world.advanceTo(event.voteStart + 1n);

  const state = temporaryDirectory((work) => cleanups.push(work));
  const [keystore, passphrase] = [join(state, "me.json"), join(state, "pass")];
  await ensureKeystore({ keystore, passphrase, scryptN: 4_096, privateKey: keyOf(alice.address) });
  await writeDeployment(state, {
    chainId: 31337,
    profile: "local",
    addresses,
    ...pinsOf(world),
    blocks,
  });
  place = [
    `--run=${runId}`,
    `--deployment=${join(state, "deployment.json")}`,
    `--rpc=${await lyingNode()}`,
    `--wallet=${keystore}`,
    `--passphrase-file=${passphrase}`,
    `--state=${join(state, "none")}`,
  ];
});

afterAll(async () => {
  for (const work of cleanups) work();
  await world.close();
});

/** The key of one of the test chain's accounts. */
function keyOf(address: Address): Hex {
  for (let addressIndex = 0; addressIndex < 10; addressIndex++) {
    const account = mnemonicToAccount("test test test test test test test test test test test junk", { addressIndex });
    if (asAddress(account.address) === asAddress(address)) return toHex(account.getHdKey().privateKey!);
  }
  throw new TypeError(`${address} is none of the test chain's`);
}

/** The same receipt, in which every proposal that was made is theirs, and voted on since long. */
const asTheirs = (receipt: Receipt): Receipt => ({
  ...receipt,
  logs: receipt.logs.map((log) => {
    const words = log.data.slice(2).match(/.{64}/g) ?? [];
    // ProposalCreated's id and its voteStart; no other event of these calls is as long.
    if (words.length > 9) [words[0], words[6]] = [toHex(theirs, { size: 32 }).slice(2), "0".repeat(64)];
    return { ...log, data: `0x${words.join("")}` as const };
  }),
});

async function answer(asked: Asked) {
  const { id, method, params } = asked;
  try {
    const result: unknown = await world.request({ method, params } as never);
    const call = method === "eth_call" ? (params as [{ data?: Hex; input?: Hex }])[0] : undefined;
    if (lie && (call?.data ?? call?.input)?.startsWith(lie.selector))
      return { jsonrpc: "2.0", id, result: lie.told(result as Hex) };
    const receipt = method === "eth_getTransactionReceipt" && result !== null;
    return { jsonrpc: "2.0", id, result: receipt ? asTheirs(result as Receipt) : result };
  } catch (error) {
    const { message = "", data } = error as { readonly message?: string; readonly data?: unknown };
    return { jsonrpc: "2.0", id, error: { code: -32_000, message, data } };
  }
}

async function bodyOf(request: IncomingMessage): Promise<Asked | Asked[]> {
  const parts: Uint8Array[] = [];
  for await (const part of request) parts.push(part as Uint8Array);
  return JSON.parse(Buffer.concat(parts).toString()) as Asked | Asked[];
}

async function lyingNode(): Promise<string> {
  const server = createServer((request, response) => {
    void (async () => {
      const asked = await bodyOf(request);
      const answers = Array.isArray(asked) ? await Promise.all(asked.map(answer)) : await answer(asked);
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answers));
    })();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => (server.closeAllConnections(), server.close()));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("propose --vote votes for what it proposed, not for what a node says that this made", async () => {
  const { client, governor } = world;
  const ended = await cotrainHere(["propose", "innerSteps=128", "--vote", ...place]);
  expect([ended.code, ended.stderr]).toEqual([
    1,
    expect.stringContaining(`the node says that this made proposal ${theirs}: it lies, and nobody here voted.`),
  ]);
  expect((await actions.proposalVotes(client, { governor, proposalId: theirs })).for).toBe(0n);
});

test.each([["vote", "for"], ["proposals execute"]])(
  "%s takes a whole id of a node that could hide the proposal that is meant",
  async (command, ...words) => {
    const argv = [...command.split(" "), String(theirs).slice(0, 12), ...words, ...place];
    expect(verdictOf(await cotrainHere(argv))).toEqual(
      refusal(1, `no proposal ${String(theirs).slice(0, 12)}: name the whole id, since who answers for a chain`),
    );
  },
  120_000,
);

const impostor = () => toHex(BigInt(stranger.address), { size: 32 });
/** A function of the registries that says where a contract is, what the refusal calls it, and who signs for it. */
const told: readonly (readonly [getter: string, what: string, ...argv: string[]])[] = [
  ["sharesOf(bytes32)", "the model's shares are", "delegate", "self"],
  ["governorOf(bytes32)", "the model's governor is", "vote", "THEIRS", "for"],
  ["timelockOf(bytes32)", "the model's timelock is", "propose", "innerSteps=128"],
  ["distributorOf(uint8)", "code is paid by", "code", "claim", "0x" + "12".repeat(32)],
  ["distributorOf(uint8)", "shares are sold by", "capital", "deposit", "5", "--yes"],
  ["stakeManager()", "stake is held by", "stake", "deposit", "1", "--role", "worker", "--yes"],
  ["revenueDeposits()", "revenue is held by", "revenue", "deposit", "5", "--yes"],
  ["computeBudget()", "budgets are paid by", "budget", "spend", "1", "--amount", "1", "--memo", "GPUs"],
  ["computeBudget()", "budgets are paid by", "vote", "THEIRS", "for"],
];

test.each(told)("of a node that lies in %s nothing is signed: %s", async (getter, what, ...argv) => {
  const { client } = world;
  const before = await getTransactionCount(client, alice);
  lie = { selector: toFunctionSelector(getter), told: impostor };
  try {
    const named = argv.map((word) => (word === "THEIRS" ? String(theirs) : word));
    const says = `The chain's RPC says that ${what} ${stranger.address}, and the deployment that is pinned gives`;
    expect(verdictOf(await cotrainHere([...named, ...place]))).toEqual(refusal(75, says));
  } finally {
    lie = undefined;
  }
  expect(await getTransactionCount(client, alice)).toBe(before);
});

test("of a node that says that the run is another model's nothing is signed", async () => {
  const { addresses, clientOf, createdFrom } = world;
  const theirModel = { addresses, config: { ...createdFrom, organiser: stranger.address }, salt: zeroHash };
  const { event } = await actions.createModel.sync(clientOf(stranger), theirModel);
  lie = {
    selector: toFunctionSelector("runOf(bytes32)"),
    told: (answer) => `0x${event.modelId.slice(2)}${answer.slice(66)}`,
  };
  try {
    const said = `The chain's RPC says that run ${world.runId} is one of model ${event.modelId}, whose it cannot be`;
    expect(verdictOf(await cotrainHere(["delegate", "self", ...place]))).toEqual(refusal(75, said));
  } finally {
    lie = undefined;
  }
});

test("of a node that says that a model's revenue is kept elsewhere nobody is told where to send it", async () => {
  const { addresses, modelId, client, clientOf } = world;
  const revenue = await actions.revenueDepositsOf(client, { addresses });
  await actions.countRevenue.sync(clientOf(alice), { revenue, modelId });
  const { vault } = (await actions.revenueBookOf(client, { revenue, modelId }))!;
  expect(actions.revenueVaultAt({ revenue, modelId })).toBe(vault);
  const honest = await cotrainHere(["revenue", "count", ...place]);
  expect(honest.stdout.replaceAll(/\s+/g, " ")).toContain(`Tokens for it go to ${vault}, on this chain`);
  lie = {
    selector: toFunctionSelector("bookOf(bytes32)"),
    // The book of revenue has five words, of which the vault is the second.
    told: (answer) =>
      answer.length === 2 + 5 * 64 ? `${answer.slice(0, 66) as Hex}${impostor().slice(2)}${answer.slice(130)}` : answer,
  };
  try {
    const says = `The chain's RPC says that the model's revenue is kept at ${stranger.address}, and the deployment that is pinned makes ${vault}`;
    expect(verdictOf(await cotrainHere(["revenue", "count", ...place]))).toEqual(refusal(75, says));
    const reading = place.filter((word) => !/^--(wallet|passphrase-file)=/.test(word));
    expect(verdictOf(await cotrainHere(["revenue", "list", ...reading]))).toEqual(refusal(75, says));
  } finally {
    lie = undefined;
  }
});
