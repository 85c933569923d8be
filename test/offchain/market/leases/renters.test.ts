/** From whom machines are rented. */
import { expect, test } from "vitest";

import { rentersOf, runsScripts } from "../../../../offchain/src/market/renters.ts";
import { createManualClock } from "../../manualClock.ts";
import { reachFor } from "../asking.ts";

const reach = (environment: Readonly<Record<string, string>> = {}) => ({
  ...reachFor(new Map(), createManualClock()),
  environment,
});

test("accounts are those whose keys are set; for the others it is told what is missing", () => {
  const { accounts, missing } = rentersOf(undefined, reach({ VAST_API_KEY: "a-key-of-a-test" }));
  expect(accounts.map(({ name }) => name)).toEqual(["vast"]);
  expect(missing.join(" ")).toContain("RUNPOD_API_KEY");
});

test.each([
  [["nobody"], "PROVIDER_UNKNOWN"],
  [["vast"], "PROVIDER_KEY"],
  [undefined, "PROVIDER_KEY"],
])("there is nothing to rent from for %j without a key", (names, code) => {
  expect(() => rentersOf(names, reach())).toThrow(expect.objectContaining({ code }) as Error);
});

test("who runs no script of whoever rents is known, and so is nobody", () => {
  expect(["vast", "lambda", "prime", "own"].map(runsScripts)).toEqual([true, true, false, false]);
});
