/** `cotrain revenue attest` by what a validator signed before: no node, file or directory makes its key contradict itself. */
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";

import { asAddress, type Attestation, fromWire } from "@cotrain/sdk/protocol";
import { beforeEach, expect, onTestFinished, test } from "vitest";

import { createReader } from "../../../offchain/src/chain/index.ts";
import { lookAgain } from "../../../offchain/src/cli/attesting.ts";
import { lockSigner, openDatabase } from "../../../offchain/src/service/index.ts";
import {
  birthOf,
  openStatements,
  statementMigrations,
  type StatementSchema,
} from "../../../offchain/src/validator/index.ts";
import { listening } from "../../loopback.ts";
import { createManualClock, passTime } from "../manualClock.ts";
import { accountOf, keyOf } from "../chain/world.ts";
import { capitalStage } from "./capitalStage.ts";
import { staged } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const stage = staged(["buyer", "stranger", "validator-1", "validator-2", "validator-3"]);
const { earn, placeNow } = capitalStage(stage);

let file: string;
beforeEach(async () => {
  file = join(temporaryDirectory(), "revenue.json");
  await earn("1.5");
});

const attest = (name: string, ...flags: readonly string[]) =>
  cotrainHere(["revenue", "attest", file, ...stage.by(name), "--yes", ...flags]);
const here = () => ["--state", stage.state];
const signed = () => JSON.parse(readFileSync(file, "utf8")).attestation;
const struct = (): Attestation => fromWire("Attestation", signed());
const word = (name: string): string => `0x${"0".repeat(24)}${asAddress(accountOf(name).address).slice(2)}`;

/** A node that says in its first logs that the stranger has what the buyer has, and how often it was asked for logs. */
async function liar(lies = Infinity) {
  const seen = { asked: 0, url: "" };
  const server = createServer((request, response) => {
    void (async () => {
      const body = await text(request);
      const headers = { "content-type": "application/json" };
      const answer = await (await fetch(stage.node.url, { method: "POST", body, headers })).text();
      const isLie = body.includes("eth_getLogs") && seen.asked++ < lies;
      response.writeHead(200, headers).end(isLie ? answer.replaceAll(word("buyer"), word("stranger")) : answer);
    })();
  });
  onTestFinished(() => void server.close());
  seen.url = await listening(server);
  return seen;
}

test("a node that lies, and a file of the same epochs, have no validator sign two roots", async () => {
  expect(await attest("validator-1", "--first", ...here())).toMatchObject({ code: 0 });
  file = `${file}.other`;
  const { url } = await liar();
  const { code, stderr } = await attest("validator-1", "--first", ...here(), "--rpc", url);
  expect(code).toBe(1);
  expect(stderr).toContain("has signed another root of the same epochs, block and deadline before");
  expect(existsSync(file)).toBe(false);
  // The same once more is no contradiction.
  expect(await attest("validator-1", ...here())).toMatchObject({ code: 0 });
});

test("a node that lies in one look has nobody sign", async () => {
  const honest = await liar(0);
  await cotrainHere(["revenue", "attest", file, ...stage.by("validator-1"), ...here(), "--rpc", honest.url]);
  const { url } = await liar(honest.asked);
  expect(verdictOf(await attest("validator-1", "--first", ...here(), "--rpc", url))).toEqual(
    refusal(1, "What was seen first is not what this chain says"),
  );
  expect(existsSync(file)).toBe(false);
});

test("a root that holders voided is not signed again", async () => {
  await attest("validator-1", "--first", ...here());
  await placeNow(async (connected) => {
    const { contracts, fromBlock } = stage.world;
    const reader = createReader(connected.connection, { contracts, fromBlock });
    const place = { ...connected, reader };
    const readerOf = (isVoided: boolean) => ({
      readerOf: () => ({
        ...reader,
        rootsOfKind: () => ({ ...reader.rootsOfKind(5), isVoided: async () => isVoided }),
      }),
    });
    await lookAgain(place, struct(), readerOf(false));
    await expect(lookAgain(place, struct(), readerOf(true))).rejects.toMatchObject({ code: "REVENUE_VOIDED" });
  });
});

test("the second look of who signs by hand is of a later block", async () => {
  await attest("validator-1", "--first", ...here());
  await placeNow(async (connected) => {
    const { contracts, fromBlock } = stage.world;
    const honest = createReader(connected.connection, { contracts, fromBlock });
    const [clock, told] = [createManualClock(0), { block: 7, asked: 0, looks: 0 }];
    const newest = await honest.tip();
    const tip = async () => ({ ...newest, block: (told.asked++, told.block) });
    const place = { ...connected, reader: { ...honest, tip } };
    const look = () => lookAgain(place, struct(), { clock, patience: 60_000, readerOf: () => (told.looks++, honest) });
    const second = look();
    for (const asked of [2, 3, 4]) {
      await expect.poll(() => told.asked).toBe(asked);
      await expect.poll(() => clock.sleepers).toBe(1);
      expect(told.looks).toBe(0);
      if (asked === 4) told.block = 8;
      await clock.advance(500);
    }
    await second;
    expect(told.looks).toBe(1);
    // A minute without one stands for it.
    const without = look();
    const before = clock.monotonic();
    await passTime(clock, without);
    expect([told.looks, clock.monotonic() - before]).toEqual([2, 60_000]);
  });
});

test("a validator that runs signs by itself, and nobody beside it", async () => {
  const wallet = join(stage.keys, "validator-1.json");
  const lock = await lockSigner(wallet, accountOf("validator-1").address);
  onTestFinished(() => lock?.release());
  expect(verdictOf(await attest("validator-1", "--first", ...here()))).toEqual(
    refusal(1, "runs on this machine, and signs by itself each root of revenue that its coordinator publishes"),
  );
  expect(existsSync(file)).toBe(false);
});

test("what the validator's process signed in its directory is known, and its journal is looked for there", async () => {
  const { address: account } = accountOf("validator-3");
  const [, wallet = ""] = stage.by("validator-3");
  await attest("validator-1", "--first", ...here());
  const ofFile = signed();
  (await lockSigner(wallet, account))?.release();
  const there = stage.pins();
  const journal = join(there.at(-1)!, "statements.sqlite");
  const opened = () => openDatabase<StatementSchema>(journal, statementMigrations);
  // Another key's journal is not this one's.
  await (await opened()).close();
  expect(verdictOf(await attest("validator-3", "--first", ...there))).toEqual(
    refusal(1, "name the directory of its validator with --state"),
  );
  const database = await opened();
  await birthOf(database, { account, first: true, tip: async () => ({ block: 0 }) });
  await openStatements(database).attestation({ ...ofFile, root: keyOf("root") }, async () => "0x11");
  await database.close();
  expect(verdictOf(await attest("validator-3", "--first", ...there))).toEqual(
    refusal(1, "has signed another root of the same epochs"),
  );
});

test("a new journal signs nothing of a block before it, unless its key has never signed", async () => {
  expect(verdictOf(await attest("validator-2", ...here()))).toEqual(
    refusal(1, /journal of signatures began at block \d+.*Name another file to begin a root of a later block/),
  );
  await stage.client.mine({ blocks: 1 });
  expect(await attest("validator-2", ...here())).toMatchObject({ code: 0 });
});

test("a key whose journal is lost has a new one where that is said, which signs what is of a later block", async () => {
  const wallet = join(temporaryDirectory(), "wallet.json");
  const [, kept = "", ...passphrase] = stage.by("validator-2");
  copyFileSync(kept, wallet);
  (await lockSigner(wallet, accountOf("validator-2").address))?.release();
  const signs = (...flags: readonly string[]) =>
    cotrainHere(["revenue", "attest", file, "--wallet", wallet, ...passphrase, "--yes", ...here(), ...flags]);
  expect(verdictOf(await signs("--first"))).toEqual(
    refusal(1, /name the directory .* or where that journal is nowhere any more sign with --lost/),
  );
  expect(verdictOf(await signs("--first", "--lost"))).toEqual(refusal(1, "give one of them"));
  expect(verdictOf(await signs("--lost"))).toEqual(refusal(1, /journal of signatures began at block \d+/));
  await stage.client.mine({ blocks: 1 });
  expect(await signs()).toMatchObject({ code: 0 });
});
