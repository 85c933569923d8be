/** The wallet of the account that creates models on a test's chain: their organiser. */
import { join } from "node:path";

import { toHex } from "viem";
import { mnemonicToAccount } from "viem/accounts";

import { ensureKeystore, SCRYPT_N_LOCAL } from "../../../offchain/src/service/index.ts";

/** Puts it, as `organiser`, beside the other wallets of a directory. */
export async function keepOrganiser(keys: string): Promise<void> {
  const organiser = mnemonicToAccount("test test test test test test test test test test test junk");
  await ensureKeystore({
    keystore: join(keys, "organiser.json"),
    passphrase: join(keys, "passphrase"),
    scryptN: SCRYPT_N_LOCAL,
    privateKey: toHex(organiser.getHdKey().privateKey!),
  });
}
