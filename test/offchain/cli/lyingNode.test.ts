/** Commands that decide, where the node that answers for the chain lies about proposals. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import * as actions from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";
import { toHex } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { afterAll, beforeAll, expect, test } from "vitest";

import { writeDeployment } from "../../../offchain/src/run/index.ts";
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
