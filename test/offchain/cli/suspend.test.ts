/** `cotrain suspend` on a real node: from validator to validator until a quorum has signed. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { headOf, isSuspended, postHead, setPoster } from "@cotrain/sdk/actions";
import { CheckpointRegistrySuspendedError } from "@cotrain/sdk/errors";
import type { Hex } from "@cotrain/sdk/protocol";
import { beforeEach, describe, expect, test } from "vitest";

import { passedText, signedRow } from "../../../offchain/src/cli/quorum.ts";
import { accountOf, keyOf, poster, validators } from "../chain/world.ts";
import { keystoreOf, staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const names = ["validator-1", "validator-2", "validator-3"] as const;
const stage = staged([...names, "stranger"]);

let file: string;
beforeEach(() => {
  file = join(temporaryDirectory(), "stop.json");
});

const { by } = stage;
const at = () => ["--state", stage.state];
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
const stopped = () => isSuspended(stage.client, { addresses: stage.world.contracts, runId: stage.world.runId });
const addressOf = (name: string) => accountOf(name).address.toLowerCase();

async function post() {
  const { contracts: addresses, runId } = stage.world;
  const { head: parentHead, round } = await headOf(stage.client, { addresses, runId });
  const link = { checkpointDigest: keyOf("checkpoint"), receiptsRoot: keyOf("receipts"), paramsVersion: 1 };
  return postHead.sync(stage.client, {
    addresses,
    runId,
    parentHead,
    round: round + 1n,
    ...link,
    account: poster,
    pollingInterval: 20,
  });
}

async function replacePoster(address: Hex): Promise<void> {
  const { contracts: addresses, runId } = stage.world;
  await stage.asHolders((account) =>
    setPoster.sync(stage.client, { addresses, runId, poster: address, account, pollingInterval: 20 }),
  );
}

describe("a suspension", () => {
  test("goes from validator to validator, and who completes the quorum sends it", async () => {
    const { event } = await post();
    const begun = await told<Told>("suspend", file, "--yes", ...at(), ...by("validator-1"), "--within", "2h");
    expect(begun).toMatchObject({ suspended: false, transaction: null, head: event!.head, threshold: 2 });
    expect(begun.signers).toEqual([accountOf("validator-1").address]);
    const { timestamp } = await stage.client.getBlock();
    expect(BigInt(begun.deadline)).toBe(timestamp + 7_200n);
    expect(await stopped()).toBe(false);

    const { code, stdout } = await suspend("validator-3");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^signed +by 2 validators; it takes 2$/m);
    // Round n makes checkpoint n, as status says it.
    const { contracts: addresses, runId } = stage.world;
    const { round } = await headOf(stage.client, { addresses, runId });
    expect(stdout.replaceAll(/\s+/g, " ")).toContain(`${event!.head} of checkpoint ${round}, anchored in 0x`);
    expect(stdout.replaceAll("\n", " ")).toMatch(/is suspended as the poster, in 0x\w{64}\. Nothing is anchored until/);
    expect(await stopped()).toBe(true);
    await expect(post()).rejects.toBeInstanceOf(CheckpointRegistrySuspendedError);

    // Who comes late finds that it is so.
    expect(await told<Told>("suspend", file, ...at(), ...by("validator-2"))).toMatchObject({
      suspended: true,
      transaction: null,
    });
  });

  test("is signed by every validator of the directory's run, for the head that is named", async () => {
    const { contracts: addresses, runId } = stage.world;
    const { head: genesis } = await headOf(stage.client, { addresses, runId });
    await post();
    const own = join(temporaryDirectory(), "state");
    // One of them is in the set no more: what it signed would have the contract refuse all of it.
    const keyNames = { "validator-0": "stranger", ...Object.fromEntries(names.map((name) => [name, name])) };
    const wallets = Object.entries(keyNames).map(([name, key]) => [name, addressOf(key)]);
    await stage.stateAt(own, { poster: poster.address, ...Object.fromEntries(wallets) });
    for (const [name, key] of Object.entries(keyNames)) {
      const paths = { keystore: join(own, "keys", `${name}.json`), passphrase: join(own, "keys", "passphrase") };
      await keystoreOf(key, paths);
    }
    const whole = await told<Told>("suspend", file, "--state", own, "--head", genesis, "--yes");
    expect(whole).toMatchObject({ suspended: true, head: genesis });
    expect(whole.transaction).toMatch(/^0x/);
    expect(whole.signers).toEqual(validators.map(({ address }) => address));
  });

  test("is signed in somebody else's run by the validator of the directory", async () => {
    const { runId } = stage.world;
    const url = await tellingCoordinator(stage.world, stage.client);
    const directory = temporaryDirectory();
    const paths = { keystore: join(directory, "wallet.json"), passphrase: join(directory, "passphrase") };
    await keystoreOf("validator-2", paths);
    const pins = ["--run", runId, "--deployment", join(stage.state, "deployment.json")];
    const remote = ["--coordinator", url, "--rpc", stage.node.url];
    const signed = await told<Told>("suspend", file, "--yes", "--state", directory, "--rpc", stage.node.url, ...pins);
    expect(signed.signers).toEqual([accountOf("validator-2").address]);
    // What the suspect itself says is not signed.
    for (const pinned of [[], pins.slice(0, 2), pins.slice(2)]) {
      const unpinned = await cotrainHere(["suspend", file, "--yes", ...by("validator-3"), ...remote, ...pinned]);
      expect(verdictOf(unpinned)).toEqual(refusal(1, "name the run with --run and its contracts with --deployment"));
    }
    await told<Told>("suspend", file, "--yes", ...by("validator-3"), ...remote, ...pins);
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
    const three = { kind: "shown", statement: { signatures: new Map() }, signers: 3 } as const;
    expect(passedText(file, three, { signer: "validator", threshold: 2 })).toBe(
      "Nothing was signed or sent. With --yes 3 wallets here would sign it, of which 2 would do, which completes the quorum and is sent at once.",
    );
    // More may have signed than it takes.
    const all = new Map(validators.map(({ address }) => [address, "0x12"] as const));
    expect(signedRow({ signatures: all }, 2)).toEqual(["signed", "by 3 validators; it takes 2"]);
    await suspend("validator-1");
    const before = readFileSync(file, "utf8");
    expect((await shown("validator-3")).stdout.replaceAll("\n", " ")).toMatch(
      /which completes the quorum and is sent at/,
    );
    expect([readFileSync(file, "utf8"), await stopped()]).toEqual([before, false]);
  });

  test("is not sent where that costs more than --max-fee, and sent by the next who comes", async () => {
    await suspend("validator-1");
    await stage.client.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 12n });
    await stage.client.mine({ blocks: 1 });
    expect(verdictOf(await suspend("validator-2", "--max-fee", "0.000001")).code).toBe(75);
    expect(await stopped()).toBe(false);
    expect((await shown("validator-1")).stdout.replaceAll("\n", " ")).toMatch(
      /Nothing was sent\. A quorum has signed it: with --yes it is sent at once: then the run trains no more\. Nothing is/,
    );
    expect(
      (await told<Told>("suspend", file, ...at(), ...by("validator-1"), "--max-fee", "10", "--yes")).suspended,
    ).toBe(true);
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
      refusal(1, `${accountOf("validator-1").address} signed it before, and it takes 1 more of the set`),
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
    await stage.client.increaseTime({ seconds: 100 });
    await stage.client.mine({ blocks: 1 });
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
    expect(await verdict("validator-2")).toEqual(refusal(1, `suspends ${poster.address}, but who posts`));
  });

  test("in a directory that holds another run than the one that is named, and says where else", async () => {
    const pins = [
      "--run",
      keyOf("another run"),
      "--deployment",
      join(stage.state, "deployment.json"),
      "--rpc",
      stage.node.url,
    ];
    const directory = "the directory of your wallet in that one (.cotrain-validator), or any that holds no run,";
    expect(verdictOf(await suspend("validator-1", ...pins))).toEqual(
      refusal(
        1,
        `${stage.state} holds run ${stage.world.runId}, not ${keyOf("another run")}: leave --run out, or name ${directory}`,
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
    change(({ suspension }) => (suspension["runId"] = stage.world.runId));
    change((document) => Object.assign(document, { chainId: 1 }));
    expect(await verdict("validator-2")).toEqual(refusal(1, "on chain 1, not of run"));
    change((document) => Object.assign(document, { chainId: stage.world.chainId, checkpointRegistry: addressOf("x") }));
    expect(await verdict("validator-2")).toEqual(refusal(1, `of ${accountOf("x").address} on chain`));
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

// Last, since the node does not come back from the time that it is set to.
test("a node that says that it is next year has nobody sign a suspension for longer than was said", async () => {
  await post();
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(Math.floor(Date.now() / 1_000) + 365 * 86_400) });
  await stage.client.mine({ blocks: 1 });
  const { deadline } = await told<Told>("suspend", file, "--yes", ...at(), ...by("validator-1"), "--within", "2h");
  expect(Number(deadline)).toBeLessThanOrEqual(Date.now() / 1_000 + 7_200);
});
