/** The wallets of a local run: one encrypted keystore for each role under `.cotrain/keys`. */
import { join } from "node:path";

import type { PrivateKeyAccount } from "viem/accounts";

import { ensureKeystore, openKeystore, SCRYPT_N_LOCAL, SCRYPT_N_STANDARD } from "../../service/index.ts";

/** `organiser`, `poster`, `validator-1` …, `worker-1` …. */
export type Role = "organiser" | "poster" | `validator-${number}` | `worker-${number}`;

export const keystorePaths = (state: string, role: string) => ({
  keystore: join(state, "keys", `${role}.json`),
  passphrase: join(state, "keys", "passphrase"),
});

/** Opens or makes a role's wallet. Local keys guard play money, so that opening them may be quick. */
export const ensureWallet = (state: string, role: Role, local: boolean): Promise<PrivateKeyAccount> =>
  ensureKeystore({ ...keystorePaths(state, role), scryptN: local ? SCRYPT_N_LOCAL : SCRYPT_N_STANDARD });

export const openWallet = (state: string, role: Role): Promise<PrivateKeyAccount> =>
  openKeystore(keystorePaths(state, role));
