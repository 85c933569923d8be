/** A journal that is new, of a key that is not: what the key signed before is not known, and it contradicts nothing of that. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { fromWire, toWire, zeroHash } from "@cotrain/sdk/protocol";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import {
  type DaemonContext,
  type Database,
  lockSigner,
  openDatabase,
  openStateDirectory,
} from "../../../offchain/src/service/index.ts";
import { openDaemonJournal } from "../../../offchain/src/validator/journal.ts";
import {
  attestByHand,
  birthOf,
  openStatements,
  statementMigrations,
  type StatementSchema,
  validatorDaemon,
} from "../../../offchain/src/validator/index.ts";
import { keyOf } from "../chain/world.ts";
import { temporaryDirectory } from "../cli/support.ts";
import { createManualClock } from "../manualClock.ts";

const account = privateKeyToAccount(keyOf("validator-1"));
const opened = (file = join(temporaryDirectory(), "statements.sqlite")): Promise<Database<StatementSchema>> =>
  openDatabase<StatementSchema>(file, statementMigrations);
const never = () => Promise.reject(new UserError("UNUSED", "Not asked."));
const tipAt = (block: number) => async () => ({ block });

const attestation = (blockNumber: bigint) =>
  toWire("Attestation", {
    kind: 1,
    modelId: zeroHash,
    index: 1n,
    fromEpoch: 1n,
    toEpoch: 1n,
    runId: zeroHash,
    head: zeroHash,
    epochDigest: zeroHash,
    previousRoot: zeroHash,
    root: zeroHash,
    total: 1n,
    setVersion: 1,
    blockNumber,
    blockHash: zeroHash,
    deadline: 5n,
  });

describe("a journal", () => {
  it("notes once where the chain was when it began", async () => {
    const database = await opened();
    const birth = (block: number, first = false) =>
      birthOf(database, { account: account.address, first, tip: tipAt(block) });
    expect(await birth(7)).toBe(7);
    expect(await birth(9)).toBe(7);
    // Neither is that taken back later.
    expect(await birth(9, true)).toBe(7);
    await database.close();
  });

  it("begins with the key where that has never signed, and each key for itself", async () => {
    const database = await opened();
    expect(await birthOf(database, { account: account.address, first: true, tip: never })).toBeUndefined();
    expect(
      await birthOf(database, { account: account.address.toLowerCase(), first: false, tip: never }),
    ).toBeUndefined();
    const other = privateKeyToAccount(keyOf("validator-2")).address;
    expect(await birthOf(database, { account: other, first: false, tip: tipAt(4) })).toBe(4);
    await database.close();
  });

  it("that a key has signed in before this was noted has all that it signed", async () => {
    const file = join(temporaryDirectory(), "statements.sqlite");
    const before = await openDatabase<StatementSchema>(file, statementMigrations.slice(0, 1));
    await before.kysely
      .insertInto("statements")
      .values({
        key: "verdict:1",
        kind: "verdict",
        subject: zeroHash,
        value: "0",
        json: JSON.stringify({ validator: account.address }),
        signature: "0x",
        signed_at: 5,
        accepted_at: null,
      })
      .execute();
    await before.close();
    const database = await opened(file);
    expect(await birthOf(database, { account: account.address, first: false, tip: tipAt(9) })).toBeUndefined();
    await database.close();
  });

  it("signs no attestation on a block that was there before it", async () => {
    const database = await opened();
    const statements = openStatements(database, { born: 10 });
    let signed = 0;
    const sign = async (): Promise<`0x${string}`> => {
      signed += 1;
      return "0x";
    };
    await expect(statements.attestation(attestation(10n), sign)).rejects.toMatchObject({ code: "BEFORE_JOURNAL" });
    expect(signed).toBe(0);
    await statements.attestation(attestation(11n), sign);
    expect(signed).toBe(1);
    expect([statements.isBefore(10), statements.isBefore(11)]).toEqual([true, false]);
    expect(openStatements(database).isBefore(0)).toBe(false);
    await database.close();
  });
});

/** What a process gives its daemon. */
function processOf() {
  const ends: (() => unknown)[] = [];
  const warned: string[] = [];
  const controller = new AbortController();
  const logger = { warn: (text: string) => void warned.push(text), info: () => undefined, error: () => undefined };
  const context = {
    signal: controller.signal,
    logger,
    ready: () => undefined,
    onShutdown: (_: string, work: () => unknown) => void ends.push(work),
  } as unknown as DaemonContext;
  const end = async (): Promise<void> => {
    controller.abort(new UserError("STOPPED", "Stopped."));
    for (const work of ends.toReversed()) await work();
  };
  return { context, warned, end };
}

/** A validator's process in a directory that ends with its context. */
async function daemonIn(state: string, wallet: string, context: DaemonContext): Promise<void> {
  const directory = await openStateDirectory(state, { create: true });
  context.onShutdown("state directory", () => directory.close());
  const rpcUrl = "http://127.0.0.1:9";
  const chain = { rpcUrl, chainId: 31_337, contracts: {} as never, fromBlock: 0 };
  return validatorDaemon({ ...chain, coordinator: rpcUrl, directory, account, wallet, loss: false }, context);
}

describe("a validator's process", () => {
  it("does not begin anew where its journal is damaged, and says what that takes", async () => {
    const state = join(temporaryDirectory(), "validator");
    const { context, end } = processOf();
    const wallet = join(temporaryDirectory(), "wallet.json");
    const first = daemonIn(state, wallet, context);
    first.catch(() => undefined);
    const tried = async (): Promise<unknown> => {
      try {
        (await lockSigner(wallet, account.address, { wait: 0 }))?.release();
        return undefined;
      } catch (error) {
        return error;
      }
    };
    await expect.poll(tried).toMatchObject({ code: "KEY_IN_USE" });
    await end();
    await expect(first).rejects.toMatchObject({ code: "STOPPED" });
    writeFileSync(join(state, "statements.sqlite"), "no journal any more ".repeat(100));
    const again = processOf();
    const damaged = daemonIn(state, wallet, again.context);
    await expect(damaged).rejects.toMatchObject({
      code: "DATABASE_CORRUPTED",
      message: expect.stringMatching(/start again without --first .* put no older copy in its place/),
    });
    await expect(damaged).rejects.not.toMatchObject({ message: expect.stringContaining("--fresh") });
    await again.end();
  });

  it("is alone with its key on its machine, whatever its directory", async () => {
    const directory = temporaryDirectory();
    const wallet = join(directory, "wallet.json");
    const lock = await lockSigner(wallet, account.address, { wait: 0 });
    expect(lock?.usedBefore).toBe(false);
    await expect(lockSigner(join(directory, "copy.json"), account.address, { wait: 0 })).rejects.toMatchObject({
      code: "KEY_IN_USE",
      message: expect.stringContaining(`(pid ${process.pid})`),
    });
    const other = await lockSigner(wallet, privateKeyToAccount(keyOf("validator-2")).address, { wait: 0 });
    expect(other?.usedBefore).toBe(false);
    lock?.release();
    const next = await lockSigner(wallet, account.address, { wait: 0 });
    expect(next?.usedBefore).toBe(true);
    next?.release();
    other?.release();
    expect(await lockSigner(join(directory, "missing", "wallet.json"), account.address)).toBeUndefined();
  });

  it("goes on with the journal that its key has beside its wallet, where its directory has none", async () => {
    const [directory, wallets] = [temporaryDirectory(), temporaryDirectory()];
    const wallet = join(wallets, "wallet.json");
    const key = { account: account.address, wallet, directory };
    const wire = attestation(3n);
    await attestByHand({ ...key, first: true, tip: 0 }, fromWire("Attestation", wire), async () => "0x11");
    const goesOn = async () => {
      const journal = await openDaemonJournal(key);
      expect(await openStatements(journal).knownAttestation(wire)).toMatchObject({ signature: "0x11" });
      await journal.close();
    };
    await goesOn();
    // Another key's is in its directory.
    const others = await opened(join(directory, "statements.sqlite"));
    const other = privateKeyToAccount(keyOf("validator-2")).address;
    await birthOf(others, { account: other, first: true, tip: never });
    await others.close();
    await goesOn();
  });

  it("goes on with that of its directory, unless that was said to be lost since", async () => {
    const [directory, wallets] = [temporaryDirectory(), temporaryDirectory()];
    const key = { account: account.address, wallet: join(wallets, "wallet.json"), directory };
    const own = join(directory, "statements.sqlite");
    const file = async (): Promise<string> => {
      const journal = await openDaemonJournal(key);
      await journal.close();
      return journal.file;
    };
    expect(await file()).toBe(own);
    const begun = async (path: string, block: number, at: number): Promise<void> => {
      const database = await opened(path);
      const clock = createManualClock(at);
      await birthOf(database, { account: account.address, first: false, tip: tipAt(block), clock });
      await database.close();
    };
    await begun(own, 5, 4);
    expect(await file()).toBe(own);
    // By the chain: the clock of who began the first may have been ahead.
    await begun(beside(key), 6, 3);
    expect(await file()).toBe(beside(key));
  });
});

/** Where the journal of a key lies that has none in a directory. */
const beside = ({ wallet }: { readonly wallet: string }): string =>
  join(dirname(wallet), `signer-${account.address.toLowerCase()}.statements.sqlite`);

const keyIn = (wallets: string) => ({
  account: account.address,
  wallet: join(wallets, "wallet.json"),
  directory: undefined,
});

describe("who signs by hand", () => {
  type Key = Parameters<typeof attestByHand>[0];
  const signs = (key: Omit<Key, "first" | "tip">, block: bigint, said: Partial<Key> = {}) =>
    attestByHand(
      { first: false, tip: 10, ...key, ...said },
      fromWire("Attestation", attestation(block)),
      async () => "0x11",
    );

  it("begins anew where its journal is damaged, as it is told, and contradicts nothing that it signed", async () => {
    const key = keyIn(temporaryDirectory());
    await signs(key, 3n, { first: true });
    writeFileSync(beside(key), "no journal any more ".repeat(100));
    const damaged = signs(key, 12n);
    await expect(damaged).rejects.toMatchObject({
      code: "DATABASE_CORRUPTED",
      message: expect.stringMatching(/move it and .* away, and sign with --lost once, without --first/),
    });
    for (const ending of ["", "-wal", "-shm"]) rmSync(`${beside(key)}${ending}`, { force: true });
    // What lies there still says that the key has signed.
    const gone = signs({ ...key, directory: join(dirname(key.wallet), "nowhere") }, 12n, { first: true });
    await expect(gone).rejects.toMatchObject({
      code: "JOURNAL_ELSEWHERE",
      message: expect.stringMatching(/nowhere, which is not there: .* sign with --lost/),
    });
    await expect(gone).rejects.not.toMatchObject({ message: expect.stringMatching(/delete|remove/) });
    expect(existsSync(beside(key))).toBe(false);
    await expect(signs(key, 10n, { lost: true, first: true })).rejects.toMatchObject({ code: "BEFORE_JOURNAL" });
    // It has begun, which nobody has to say again, nor can take back.
    await expect(signs(key, 10n, { first: true, tip: 20 })).rejects.toMatchObject({ code: "BEFORE_JOURNAL" });
    expect(await signs(key, 11n)).toBe("0x11");
  });

  it("has a way out where it was killed before its journal began", async () => {
    const key = keyIn(temporaryDirectory());
    (await lockSigner(key.wallet, account.address))?.release();
    await expect(signs(key, 12n, { first: true })).rejects.toMatchObject({ code: "JOURNAL_ELSEWHERE" });
    // Nor does that cost a journal that is there.
    await expect(signs(key, 10n, { lost: true })).rejects.toMatchObject({ code: "BEFORE_JOURNAL" });
    await signs(key, 12n, { lost: true, tip: 11 });
    const other = { ...attestation(12n), root: keyOf("root") };
    const contradiction = attestByHand(
      { ...key, first: false, lost: true, tip: 13 },
      fromWire("Attestation", other),
      never,
    );
    await expect(contradiction).rejects.toMatchObject({ code: "EQUIVOCATION_REFUSED" });
  });

  it("is not believed that its key never signed where that was used on this machine", async () => {
    const key = keyIn(temporaryDirectory());
    (await lockSigner(key.wallet, account.address))?.release();
    // Killed before it noted where the chain was.
    await (await opened(beside(key))).close();
    await expect(signs(key, 10n, { first: true })).rejects.toMatchObject({ code: "BEFORE_JOURNAL" });
  });

  it("goes on with the journal that began last, where an earlier one is there again", async () => {
    const [directory, wallets] = [temporaryDirectory(), temporaryDirectory()];
    const key = { ...keyIn(wallets), directory };
    const own = await opened(join(directory, "statements.sqlite"));
    await birthOf(own, { account: account.address, first: true, tip: never, clock: createManualClock(5) });
    await own.close();
    await signs({ ...key, directory: undefined }, 12n, { lost: true });
    const other = { ...attestation(12n), root: keyOf("root") };
    const contradiction = attestByHand(
      { ...key, first: false, tip: 13 },
      fromWire("Attestation", other),
      async () => "0x12",
    );
    await expect(contradiction).rejects.toMatchObject({ code: "EQUIVOCATION_REFUSED" });
  });
});
