/** Who acts where gas is measured, and by which parameters. */
import { defaultRunParams, type RunParams } from "@cotrain/sdk/protocol";
import { type Hex, keccak256, stringToHex } from "viem";
import { mnemonicToAccount, privateKeyToAccount } from "viem/accounts";

export const share = 10n ** 18n;
export const hash = (text: string): Hex => keccak256(stringToHex(text));
export const salt = hash("gas");

export const params: RunParams = {
  ...defaultRunParams,
  innerSteps: 64,
  rampInnerSteps: 8,
  rampRounds: 6,
  innerLrPpb: 2_000_000,
  outerLrPpm: 700_000,
  outerMomentumPpm: 700_000,
  minWorkers: 1,
  maxWorkers: 64,
  roundDeadline: 60,
  codec: 1,
  aggregatorBps: 0,
  mixingBps: 10_000,
};

/** Hardhat's own accounts: organiser, poster, holders. */
export const accounts = Array.from({ length: 8 }, (_, index) =>
  mnemonicToAccount("test test test test test test test test test test test junk", { addressIndex: index }),
);
export const validators = Array.from({ length: 7 }, (_, index) => privateKeyToAccount(hash(`validator ${index}`))).sort(
  (a, b) => (a.address.toLowerCase() < b.address.toLowerCase() ? -1 : 1),
);
