/** When anybody may end a young model's bootstrap, as the contract has it. */
import { expect, test } from "vitest";

import { isBootstrapDue } from "../../../offchain/src/run/index.ts";

const terms = { needed: 10n, epochs: 4, maxEpochs: 8 };

test.each([
  ["enough was claimed in too few epochs", 10n, 3, false],
  ["enough epochs are over and too little was claimed", 9n, 7, false],
  ["both are there", 10n, 4, true],
  ["its most epochs are over, whatever was claimed", 0n, 8, true],
])("%s", (_, claimed, epochsOver, due) => {
  expect(isBootstrapDue({ ...terms, claimed, epochsOver })).toBe(due);
});
