/** `cotrain suspend` on a real node: from validator to validator until a quorum has signed. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { headOf, isSuspended, postHead, setPoster, timelockOf } from "@cotrain/sdk/actions";
import { CheckpointRegistrySuspendedError } from "@cotrain/sdk/errors";
import type { Hex } from "@cotrain/sdk/protocol";
import { createTestClient, http, publicActions } from "viem";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { writeDeployment } from "../../../offchain/src/run/index.ts";
import {
  createKeystore,
  openStateDirectory,
  SCRYPT_N_LOCAL,
  writeRunFile,
} from "../../../offchain/src/service/index.ts";
import { createNode, type TestNode } from "../chain/node.ts";
import { accountOf, createWorld, keyOf, poster, validators, type World } from "../chain/world.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const names = ["validator-1", "validator-2", "validator-3"] as const;
const client = () => createTestClient({ mode: "anvil", transport: http(node.url) }).extend(publicActions);

let node: TestNode;
let world: World;
/** Keystores of validators and of a stranger, and the state of a run at rest without wallets. */
let keys: string;
let state: string;
let snapshot: Hex;
const cleanups: (() => void)[] = [];

async function stateOf(directory: string, wallets: Readonly<Record<string, string>>): Promise<void> {
  (await openStateDirectory(directory, { create: true })).close();
  const { chainId, contracts: addresses, modelId, runId } = world;
  await writeRunFile(directory, {
    version: 1,
    startedAt: new Date(0).toISOString(),
    chain: { chainId, rpcUrl: node.url, embedded: false },
    ports: {},
    urls: {},
    modelId,
    runId,
    wallets,
  });
  await writeDeployment(directory, {
    chainId,
    profile: "local",
    addresses,
    blocks: { modelRegistry: world.fromBlock },
  });
}

beforeAll(async () => {
  node = await createNode(0);
  await node.start();
  world = await createWorld(node.url, node.directory);
  keys = temporaryDirectory((work) => cleanups.push(work));
  state = join(keys, "state");
  await stateOf(state, {});
  for (const name of [...names, "stranger"]) {
    const paths = { keystore: join(keys, `${name}.json`), passphrase: join(keys, "passphrase") };
    await createKeystore({ ...paths, scryptN: SCRYPT_N_LOCAL, privateKey: keyOf(name) });
  }
  snapshot = await client().snapshot();
}, 60_000);
afterAll(async () => {
  await node?.close();
  for (const work of cleanups) work();
});

let file: string;
beforeEach(async () => {
  await client().revert({ id: snapshot });
  snapshot = await client().snapshot();
  file = join(temporaryDirectory(), "stop.json");
});

const by = (name: string): string[] => [
  "--wallet",
  join(keys, `${name}.json`),
  "--passphrase-file",
  join(keys, "passphrase"),
];
const at = () => ["--state", state];
const suspend = (name: string, ...flags: readonly string[]) =>
  cotrainHere(["suspend", file, ...at(), ...by(name), ...flags, "--yes"]);
const shown = (name: string) => cotrainHere(["suspend", file, ...at(), ...by(name)]);

interface Told {
  readonly suspended: boolean;
  readonly transaction: Hex | null;
  readonly head: Hex;
  readonly deadline: string;
  readonly signers: readonly string[];
  readonly threshold: number;
}
async function told(...argv: readonly string[]): Promise<Told> {
  const { code, stdout, stderr } = await cotrainHere([...argv, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Told;
}
const stopped = () => isSuspended(client(), { addresses: world.contracts, runId: world.runId });
const addressOf = (name: string) => accountOf(name).address.toLowerCase();

async function post() {
  const { contracts: addresses, runId } = world;
  const { head: parentHead, round } = await headOf(client(), { addresses, runId });
  const link = { checkpointDigest: keyOf("checkpoint"), receiptsRoot: keyOf("receipts"), paramsVersion: 1 };
  return postHead.sync(client(), {
    addresses,
    runId,
    parentHead,
    round: round + 1n,
    ...link,
    account: poster,
    pollingInterval: 20,
  });
}

/** By the timelock, which holders act through. */
async function replacePoster(address: Hex): Promise<void> {
  const { contracts: addresses, modelId, runId } = world;
  const timelock = await timelockOf(client(), { addresses, modelId });
  await client().setBalance({ address: timelock, value: 10n ** 18n });
  await client().impersonateAccount({ address: timelock });
  await setPoster.sync(client(), { addresses, runId, poster: address, account: timelock, pollingInterval: 20 });
}

describe("a suspension", () => {
  test("goes from validator to validator, and who completes the quorum sends it", async () => {
    const { event } = await post();
    const begun = await told("suspend", file, "--yes", ...at(), ...by("validator-1"), "--within", "2h");
    expect(begun).toMatchObject({ suspended: false, transaction: null, head: event!.head, threshold: 2 });
    expect(begun.signers).toEqual([accountOf("validator-1").address]);
    const { timestamp } = await client().getBlock();
    expect(BigInt(begun.deadline)).toBe(timestamp + 7_200n);
    expect(await stopped()).toBe(false);

    const { code, stdout } = await suspend("validator-3");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^signed +by 2 of the 2 validators that it takes$/m);
    expect(stdout.replaceAll("\n", " ")).toMatch(/is suspended as the poster, in 0x\w{64}\. Nothing is anchored until/);
    expect(await stopped()).toBe(true);
    await expect(post()).rejects.toBeInstanceOf(CheckpointRegistrySuspendedError);

    // Who comes late finds that it is so.
    expect(await told("suspend", file, ...at(), ...by("validator-2"))).toMatchObject({
      suspended: true,
      transaction: null,
    });
  });

  test("is signed by every validator of the directory's run, for the head that is named", async () => {
    const { contracts: addresses, runId } = world;
    const { head: genesis } = await headOf(client(), { addresses, runId });
    await post();
    const own = join(temporaryDirectory(), "state");
    // One of them is in the set no more: what it signed would have the contract refuse all of it.
    const keyNames = { "validator-0": "stranger", ...Object.fromEntries(names.map((name) => [name, name])) };
    const wallets = Object.entries(keyNames).map(([name, key]) => [name, addressOf(key)]);
    await stateOf(own, { poster: poster.address, ...Object.fromEntries(wallets) });
    for (const [name, key] of Object.entries(keyNames)) {
      const paths = { keystore: join(own, "keys", `${name}.json`), passphrase: join(own, "keys", "passphrase") };
      await createKeystore({ ...paths, scryptN: SCRYPT_N_LOCAL, privateKey: keyOf(key) });
    }
    const whole = await told("suspend", file, "--state", own, "--head", genesis, "--yes");
    expect(whole).toMatchObject({ suspended: true, head: genesis });
    expect(whole.transaction).toMatch(/^0x/);
    expect(whole.signers).toEqual(validators.map(({ address }) => address));
  });

  test("is signed in somebody else's run by the validator of the directory", async () => {
    const { runId } = world;
    const url = await tellingCoordinator(world, client());
    const directory = temporaryDirectory();
    const paths = { keystore: join(directory, "wallet.json"), passphrase: join(directory, "passphrase") };
    await createKeystore({ ...paths, scryptN: SCRYPT_N_LOCAL, privateKey: keyOf("validator-2") });
    const pins = ["--run", runId, "--deployment", join(state, "deployment.json")];
    const remote = ["--coordinator", url, "--rpc", node.url];
    const signed = await told("suspend", file, "--yes", "--state", directory, "--rpc", node.url, ...pins);
    expect(signed.signers).toEqual([accountOf("validator-2").address]);
    // What the suspect itself says is not signed.
    for (const pinned of [[], pins.slice(0, 2), pins.slice(2)]) {
      const unpinned = await cotrainHere(["suspend", file, "--yes", ...by("validator-3"), ...remote, ...pinned]);
      expect(verdictOf(unpinned)).toEqual(refusal(1, "name the run with --run and its contracts with --deployment"));
    }
    await told("suspend", file, "--yes", ...by("validator-3"), ...remote, ...pins);
    expect(await stopped()).toBe(true);
  });

  test("is shown, and neither made nor sent before somebody says --yes", async () => {
    const { code, stdout } = await shown("validator-1");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^poster +0x\w{40}$/m);
    expect(stdout).toMatch(
      /^Nothing was signed or sent\. With --yes 1 wallet here would sign it\. Nothing is anchored/m,
    );
    expect(existsSync(file)).toBe(false);
    await suspend("validator-1");
    const before = readFileSync(file, "utf8");
    expect((await shown("validator-3")).stdout.replaceAll("\n", " ")).toMatch(
      /which completes the quorum and is sent at/,
    );
    expect([readFileSync(file, "utf8"), await stopped()]).toEqual([before, false]);
  });

  test("is not sent where that costs more than --max-fee, and sent by the next who comes", async () => {
    await suspend("validator-1");
    await client().setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 12n });
    await client().mine({ blocks: 1 });
    expect(verdictOf(await suspend("validator-2", "--max-fee", "0.000001")).code).toBe(75);
    expect(await stopped()).toBe(false);
    expect((await told("suspend", file, ...at(), ...by("validator-1"), "--max-fee", "10", "--yes")).suspended).toBe(
      true,
    );
  });
});

const verdict = async (name: string, ...flags: readonly string[]) => verdictOf(await suspend(name, ...flags));
interface Document {
  signatures: string[];
  readonly suspension: Record<string, unknown>;
}
/** Changes the file. */
function change(made: (document: Document) => unknown): void {
  const document = JSON.parse(readFileSync(file, "utf8")) as Document;
  made(document);
  writeFileSync(file, JSON.stringify(document));
}

describe("a suspension is refused", () => {
  test("to who is no validator, and to who signed before", async () => {
    expect(await verdict("stranger")).toEqual(refusal(1, "No wallet here is in the set of validators in force"));
    expect(existsSync(file)).toBe(false);
    await suspend("validator-1");
    expect(await verdict("validator-1")).toEqual(
      refusal(1, `${addressOf("validator-1")} signed it before, and it takes 1 more of the set`),
    );
  });

  test("for a head that the run does not have, or another than the file's", async () => {
    expect(await verdict("validator-1", "--head", keyOf("head"))).toEqual(refusal(1, "is no confirmed head of run"));
    await suspend("validator-1");
    expect(await verdict("validator-2", "--head", keyOf("head"))).toEqual(refusal(1, "is for the head 0x"));
    change(({ suspension }) => (suspension["head"] = keyOf("head")));
    expect(await verdict("validator-2")).toEqual(refusal(1, "is no confirmed head of run"));
  });

  test("for no time and for longer than 30 days", async () => {
    expect(await verdict("validator-1", "--within", "0s")).toEqual(refusal(1, "for one second to 30 days"));
    expect(await verdict("validator-1", "--within", "31d")).toEqual(refusal(1, "for one second to 30 days"));
    await suspend("validator-1");
    change(({ suspension }) => (suspension["deadline"] = String(2n ** 63n)));
    expect(await verdict("validator-2")).toEqual(refusal(1, "could be used for more than 30 days"));
  });

  test("whose deadline has passed", async () => {
    await suspend("validator-1", "--within", "1m");
    await client().increaseTime({ seconds: 100 });
    await client().mine({ blocks: 1 });
    expect(await verdict("validator-2")).toEqual(
      refusal(1, /could be used until 2\S+Z: name another file to begin anew/),
    );
  });

  test("of another poster than the run's, or another set of validators", async () => {
    await suspend("validator-1");
    change(({ suspension }) => (suspension["setVersion"] = 2));
    expect(await verdict("validator-2")).toEqual(
      refusal(1, "is signed by set 2 of the validators, but set 1 is in force"),
    );
    change(({ suspension }) => (suspension["setVersion"] = 1));
    await replacePoster(accountOf("another").address);
    expect(await verdict("validator-2")).toEqual(refusal(1, `suspends ${poster.address.toLowerCase()}, but who posts`));
  });

  test("in a directory that holds another run than the one that is named, and says where else", async () => {
    const pins = ["--run", keyOf("another run"), "--deployment", join(state, "deployment.json"), "--rpc", node.url];
    const directory = "the directory of your wallet in that one (.cotrain-validator), or any that holds no run,";
    expect(verdictOf(await suspend("validator-1", ...pins))).toEqual(
      refusal(
        1,
        `${state} holds run ${world.runId}, not ${keyOf("another run")}: leave --run out, or name ${directory}`,
      ),
    );
    const elsewhere = ["--state", temporaryDirectory(), ...by("validator-1"), ...pins];
    const verdict = verdictOf(await cotrainHere(["suspend", file, ...elsewhere]));
    // There it is looked for on the chain.
    expect(verdict.sentence).toContain(`There is no run ${keyOf("another run")} in the registry`);
  });

  test("of another run or chain", async () => {
    await suspend("validator-1");
    change(({ suspension }) => (suspension["runId"] = keyOf("run")));
    expect(await verdict("validator-2")).toEqual(refusal(1, `is of run ${keyOf("run")} of`));
    change(({ suspension }) => (suspension["runId"] = world.runId));
    change((document) => Object.assign(document, { chainId: 1 }));
    expect(await verdict("validator-2")).toEqual(refusal(1, "on chain 1, not of run"));
    change((document) => Object.assign(document, { chainId: world.chainId, checkpointRegistry: addressOf("x") }));
    expect(await verdict("validator-2")).toEqual(refusal(1, `of ${addressOf("x")} on chain`));
  });

  test("with a signature that is none, of a stranger, or of something else", async () => {
    await suspend("validator-1");
    const { signatures } = JSON.parse(readFileSync(file, "utf8")) as { signatures: string[] };
    change((document) => (document.signatures = [`0x${"00".repeat(65)}`]));
    expect(await verdict("validator-2")).toEqual(refusal(1, "v of 27 or 28"));
    change((document) => {
      document.signatures = signatures;
      document.suspension["deadline"] = String(BigInt(document.suspension["deadline"] as string) - 1n);
    });
    expect(await verdict("validator-2")).toEqual(
      refusal(1, "who is not in the set of validators, or signed something else"),
    );
    writeFileSync(file, "{}");
    expect(await verdict("validator-2")).toEqual(refusal(1, "is damaged"));
  });
});
