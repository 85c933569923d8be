/** `cotrain delegate` on a real node: who votes with the shares of wallets. */
import { join } from "node:path";

import { delegateOf, votesOf } from "@cotrain/sdk/actions";
import { getAddress, zeroAddress } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";

import { type Holders, openHolders } from "./holders.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

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
  const { state, wallets, shares, supply, client, world } = holders;
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

  const pins = [`--run=${world.runId}`, `--deployment=${join(state, "deployment.json")}`, `--rpc=${world.url}`];
  const keys = [
    `--wallet=${join(state, "keys", "worker-1.json")}`,
    `--passphrase-file=${join(state, "keys", "passphrase")}`,
  ];
  const elsewhere = ["--coordinator=http://127.0.0.1:1", ...pins, ...keys, "--state", temporaryDirectory()];
  const given = await cotrainHere(["delegate", two, "--yes", "--max-fee=1", ...elsewhere]);
  expect(given).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`and now does to ${getAddress(two)}, by 0x`),
  });
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
