/** Passes beside a ledger: what was noted is found again by whoever keeps the leases, and nothing else is believed. */
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { forgetPasses, notedPasses, notePasses } from "../../../../offchain/src/market/index.ts";
import { temporaryDirectory } from "../../cli/support.ts";

const LABEL = "ct-0a1b2c3d-00000001-1";
const given = { coordinator: "https://train.example.org", runId: `0x${"a1".repeat(32)}`, passes: ["abc", "def"] };

test("passes are noted for their owner alone until they are forgotten", async () => {
  const directory = join(temporaryDirectory(), "leases");
  expect(await notedPasses(directory)).toEqual(new Map());
  await notePasses(directory, LABEL, given);
  expect(await notedPasses(directory)).toEqual(new Map([[LABEL, given]]));
  expect(statSync(join(directory, "passes", `${LABEL}.json`)).mode & 0o077).toBe(0);
  forgetPasses(directory, LABEL);
  forgetPasses(directory, LABEL);
  expect(await notedPasses(directory)).toEqual(new Map());
});

test.each([
  [`${LABEL}.json`, { ...given, coordinator: "file:///etc/passwd" }],
  [`${LABEL}.json`, { ...given, passes: [] }],
  [`${LABEL}.json`, { ...given, passes: ["x".repeat(200_000)] }],
  [`${LABEL}.json`, { ...given, more: 1 }],
  ["somebody.json", given],
])("%s with something else is left alone", async (name, content) => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, "passes"));
  writeFileSync(join(directory, "passes", name), JSON.stringify(content));
  expect(await notedPasses(directory)).toEqual(new Map());
});
