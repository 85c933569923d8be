/** Errors of the vaults that hold a model's tokens. */
import { define } from "./define.ts";

export const TokenVaultOnlyKeeperError = define(
  "TokenVaultOnlyKeeper",
  (caller) => `What lies in a vault is moved by the contract that made it alone, not by ${caller}.`,
);
