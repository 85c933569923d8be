/** From whom machines are rented. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { rentersOf } from "../../../../offchain/src/market/renters.ts";
import { temporaryDirectory } from "../../cli/support.ts";
import { createManualClock } from "../../manualClock.ts";
import { reachFor } from "../asking.ts";

const reach = (environment: Readonly<Record<string, string>> = {}) => ({
  ...reachFor(new Map(), createManualClock()),
  environment,
});

test("accounts are those whose keys are set; for the others it is told what is missing", async () => {
  const { accounts, missing } = await rentersOf(undefined, reach({ VAST_API_KEY: "a-key-of-a-test" }));
  expect(accounts.map(({ name }) => name)).toEqual(["vast"]);
  expect(missing.join(" ")).toContain("RUNPOD_API_KEY");
});

test("one's own machines are an account where there is a file of them, unless others are named", async () => {
  const file = join(temporaryDirectory(), "machines.json");
  writeFileSync(file, JSON.stringify({ machines: [{ name: "box", ssh: "me@box", gpu: "RTX 3090", gpus: 1 }] }));
  const names = async (named?: readonly string[]) =>
    (await rentersOf(named, reach({ VAST_API_KEY: "a-key-of-a-test" }), file)).accounts.map(({ name }) => name);
  expect(await names()).toEqual(["own", "vast"]);
  expect(await names(["own"])).toEqual(["own"]);
  expect(await names(["vast"])).toEqual(["vast"]);
});

test.each([
  [["nobody"], "PROVIDER_UNKNOWN"],
  [["vast"], "PROVIDER_KEY"],
  [["own"], "PROVIDER_KEY"],
  [undefined, "PROVIDER_KEY"],
])("there is nothing to rent from for %j without a key or a file", async (names, code) => {
  await expect(rentersOf(names, reach())).rejects.toMatchObject({ code });
});
