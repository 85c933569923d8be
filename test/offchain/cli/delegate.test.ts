/** `cotrain delegate` on a real node: who votes with the shares of wallets. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { delegateOf, delegationNonce, votesOf } from "@cotrain/sdk/actions";
import { getAddress, zeroAddress } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";

import { type Holders, openHolders } from "./holders.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

let holders: Holders;
beforeAll(async () => (holders = await openHolders()), 120_000);
afterAll(() => holders.close());

test.each([
  ["me", "Shares are delegated to an address, 0x and 40 hex digits,"],
  ["0x12", "Shares are delegated to an address"],
  // Another checksum than its letters have.
  ["0xaBababababababababababababababababababab", "Shares are delegated to an address"],
  [zeroAddress, "0x and 40 hex digits, not all zero"],
])("to %s is refused", async (word, sentence) => {
  expect(verdictOf(await cotrainHere(["delegate", word, "--state", holders.state]))).toEqual(refusal(1, sentence));
});

test("somebody else has the votes after --yes, and each wallet its own again", async () => {
  const { state, wallets, shares, supply, client, keysOf, pins } = holders;
  const [one, two] = [wallets["worker-1"]!, wallets["worker-2"]!];
  const votes = (account: typeof one) => votesOf(client, { shares, account });
  const at = ["--state", state];
  const own = await Promise.all([votes(one), votes(two)]);

  const already = verdictOf(await cotrainHere(["delegate", "self", ...at]));
  expect(already).toMatchObject({ code: 0, stdout: expect.stringContaining("delegates to itself already.") });
  for (const [flags, sentence] of [
    [[], "Nothing was sent: 1 wallet would change, with --yes."],
    [["--dry-run", "--yes"], "Nothing was sent: 1 wallet would change."],
  ] as const) {
    const { code, stdout } = await cotrainHere(["delegate", two, ...at, ...flags]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining(sentence) });
    expect(stdout).toContain(`delegates to itself, and would to ${getAddress(two)}.`);
    expect(await delegateOf(client, { shares, account: one })).toBe(getAddress(one));
  }

  const keys = [...pins, ...keysOf("worker-1")];
  const elsewhere = ["--coordinator=http://127.0.0.1:1", ...keys, "--state", temporaryDirectory()];
  const given = await cotrainHere(["delegate", two, "--yes", "--max-fee=1", ...elsewhere]);
  expect(given).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`and now does to ${getAddress(two)}:`),
  });
  // Each transaction is told once.
  expect((given.stdout + given.stderr).match(/\b0x[0-9a-f]{64}\b/g)).toHaveLength(1);
  expect(await Promise.all([votes(one), votes(two)])).toEqual([0n, supply]);

  const shown = await cotrainHere(["shares", ...at, "--json"]);
  const { holdings } = JSON.parse(shown.stdout) as { holdings: { delegate: string; delegators: object[] }[] };
  expect(holdings).toMatchObject([
    { delegate: getAddress(two), delegators: [], problems: [] },
    { delegate: getAddress(two), delegators: [{ account: getAddress(one), balance: String(own[0]) }], problems: [] },
  ]);

  // Back to oneself gives nothing away.
  expect(await cotrainHere(["delegate", "self", ...at])).toMatchObject({ code: 0 });
  expect(await Promise.all([votes(one), votes(two)])).toEqual(own);
});

test("each change is told once, in a sentence with its transaction, of several wallets as of one", async () => {
  const { state, wallets, keysOf } = holders;
  const friend = getAddress(`0x${"a9".repeat(20)}`);
  // Which contract their shares are follows from the directory's own deployment: no node's word is told.
  const told = (name: string, from: string, to: string): string =>
    `(?:${name}|wallet) ${getAddress(wallets[name]!)} with [\\d,.…]+ shares delegated to ${from}, and now does to ${to}: 0x[0-9a-f]{64} `;
  for (const [names, keys] of [
    [["worker-1", "worker-2"], []],
    [["worker-1"], keysOf("worker-1")],
  ] as const) {
    const at = ["--yes", "--state", state, ...keys];
    for (const [word, from, to] of [
      [friend, "itself", friend],
      ["self", friend, "itself"],
    ] as const) {
      const { code, stdout, stderr } = await cotrainHere(["delegate", word, ...at]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout.replaceAll(/\s+/g, " ")).toMatch(
        new RegExp(`^${names.map((name) => told(name, from, to)).join("")}$`),
      );
    }
  }
  const already = (await cotrainHere(["delegate", "self", "--state", state])).stdout.replaceAll(/\s+/g, " ");
  expect(already).toMatch(
    /^worker-1 0x\w{40} .* delegates to itself already\. worker-2 .* delegates to itself already\. $/,
  );
});

test.each([
  [["self", "--submit", "f"], "What --submit sends names the delegate itself"],
  [["self", "--submit", "f", "--sign", "g"], "--sign and --submit exclude each other"],
  [[], "Whom to delegate to is missing"],
  [["self", "--sign", "f", "--within", "0s"], "--within must be from one second to 365 days"],
  [["self", "--sign", "f", "--within", "9000h"], "--within must be from one second to 365 days"],
  [["self", "--sign", "f"], "One wallet signs one file"],
  [["--submit", "nowhere.json"], "There is no file nowhere.json"],
])("%j is refused, and nothing is done", async (words, sentence) => {
  expect(verdictOf(await cotrainHere(["delegate", ...words, "--state", holders.state]))).toEqual(refusal(1, sentence));
});

test("a holder signs, somebody else sends it, once", async () => {
  const { wallets, shares, client, keysOf, pins, world } = holders;
  const [one, two] = [wallets["worker-1"]!, wallets["worker-2"]!];
  const file = join(temporaryDirectory(), "votes.json");
  const at = [...pins, "--state", temporaryDirectory(), "--json"];
  const nonce = () => delegationNonce(client, { shares, account: one });
  const delegate = () => delegateOf(client, { shares, account: one });
  const before = await nonce();

  // Whoever says which contracts are meant would have anything signed.
  const told = [`--coordinator=${await tellingCoordinator(world, client)}`, pins[2]!, ...keysOf("worker-1")];
  expect(verdictOf(await cotrainHere(["delegate", two, "--yes", "--sign", file, ...told, "--json"]))).toEqual(
    refusal(1, "A coordinator does not say what is signed"),
  );

  const unsigned = await cotrainHere(["delegate", two, "--sign", file, ...at, ...keysOf("worker-1")]);
  expect(JSON.parse(unsigned.stdout)).toMatchObject({ state: "shown", delegator: getAddress(one), transaction: null });
  expect(verdictOf(await cotrainHere(["delegate", "--submit", file, ...at, ...keysOf("worker-2")]))).toEqual(
    refusal(1, "There is no file"),
  );

  // A slip of completion: its own keystore.
  const keystore = keysOf("worker-1")[0]!.slice("--wallet=".length);
  const key = readFileSync(keystore, "utf8");
  expect(
    verdictOf(await cotrainHere(["delegate", two, "--yes", "--sign", keystore, ...at, ...keysOf("worker-1")])),
  ).toEqual(refusal(1, `${keystore} exists and is no earlier signed delegation: name another file.`));
  expect(readFileSync(keystore, "utf8")).toBe(key);

  const signed = await cotrainHere(["delegate", two, "--yes", "--sign", file, ...at, ...keysOf("worker-1")]);
  expect(JSON.parse(signed.stdout)).toMatchObject({ state: "signed", delegatee: getAddress(two), transaction: null });
  expect(await nonce()).toBe(before);
  expect(await delegate()).toBe(getAddress(one));

  const whole = readFileSync(file, "utf8");
  const submit = () => cotrainHere(["delegate", "--submit", file, ...at, ...keysOf("worker-2")]);
  for (const [change, sentence] of [
    [{ delegatee: one.toLowerCase() }, "is not signed by"],
    [{ expiry: "1" }, "could be sent until second 1 of the chain"],
    [{ nonce: String(before + 1n) }, "what was signed before it has to be sent first"],
    [{ chainId: 1 }, "delegates shares"],
    [{ shares: two.toLowerCase() }, "delegates shares"],
    [{ signature: `0x${"00".repeat(65)}` }, "is not signed by"],
    [{ delegator: "0x12" }, file],
  ] as const) {
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(whole) as object), ...change }));
    const refused = await submit();
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(sentence);
  }
  writeFileSync(file, whole);
  const shown = await cotrainHere(["delegate", "--submit", file, "--dry-run", ...at, ...keysOf("worker-2")]);
  expect(JSON.parse(shown.stdout)).toMatchObject({ state: "shown" });
  expect(await delegate()).toBe(getAddress(one));

  expect(JSON.parse((await submit()).stdout)).toMatchObject({
    state: "sent",
    transaction: expect.stringMatching(/^0x/u),
  });
  expect(await delegate()).toBe(getAddress(two));
  expect(verdictOf(await submit())).toEqual(refusal(1, "it was sent, or revoked by another signature"));

  // Back to oneself: self, signed by oneself and sent by the other.
  const own = ["delegate", "self", "--sign", file, ...at, ...keysOf("worker-1")];
  expect(JSON.parse((await cotrainHere(own)).stdout)).toMatchObject({ state: "signed", nonce: String(before + 1n) });
  expect(JSON.parse((await submit()).stdout)).toMatchObject({ state: "sent" });
  expect(await delegate()).toBe(getAddress(one));
});

test("whose votes they are is said before anything is sent, where a coordinator says it", async () => {
  const { state, wallets, client, world, keysOf } = holders;
  const two = wallets["worker-2"]!;
  const url = await tellingCoordinator(world, client);
  const told = [`--coordinator=${url}`, `--rpc=${world.url}`, ...keysOf("worker-1")];
  const there = [...told, "--state", temporaryDirectory()];
  const words = `It is model ${world.modelId}, that of run ${world.runId}, by the coordinator's word alone.`;

  const given = await cotrainHere(["delegate", two, "--yes", ...there]);
  expect(given).toMatchObject({ code: 0, stdout: expect.stringContaining(`and now does to ${getAddress(two)}`) });
  expect(given.stderr).toContain(words);
  expect(given.stderr).toContain(
    `By what the node says, the model's shares are contract ${getAddress(holders.shares)}.`,
  );

  const back = await cotrainHere(["delegate", "self", ...there, "--run", world.runId, "--json"]);
  expect(back.code).toBe(0);
  expect(JSON.parse(back.stdout)).toMatchObject([{ transaction: expect.stringMatching(/^0x/) }]);
  const pinned = ["--run", world.runId, "--deployment", join(state, "deployment.json")];
  const known = await cotrainHere(["delegate", "self", ...there, ...pinned]);
  expect(known.code).toBe(0);
  expect(known.stdout + known.stderr).not.toMatch(/word alone|By what the node says/);
});
