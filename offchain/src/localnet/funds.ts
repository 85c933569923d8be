/** Coins on a development chain that is not ours: one wallet pays for everything, and `--fresh` keeps it. */
import { cp, rename } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";

import type { Address } from "viem";
import type { PrivateKeyAccount } from "viem/accounts";
import { sendTransaction } from "viem/actions";

import type { Clock } from "../base/index.ts";
import { type ChainConnection, walletOn } from "../chain/index.ts";
import {
  archiveStateDirectory,
  heirOf,
  isHeirDue,
  isSignerLock,
  type Logger,
  openStateDirectory,
  removeStateDirectory,
  type StateDirectory,
} from "../service/index.ts";

/** Gas of an owner's claims, votes and purchases in a session. */
const OWNER_GAS = 2_000_000n;
/** Fees may rise until the coins arrive. */
const HEADROOM = 2n;
const TICK_MS = 1_000;
/** A chain whose newest block is older stands until somebody sends it a transaction, seconds. */
const STANDS_AFTER = 3n;

const keys = (state: string): string => join(state, "keys");

/** What a unit of gas costs at most, wei. */
async function gasPriceOf(connection: ChainConnection): Promise<bigint> {
  return connection.call(async (client) => {
    const { maxFeePerGas } = await client.estimateFeesPerGas().catch(() => ({ maxFeePerGas: undefined }));
    return maxFeePerGas ?? (await client.getGasPrice());
  });
}

const balanceOf = ({ call }: ChainConnection, address: Address): Promise<bigint> =>
  call((client) => client.getBalance({ address }));

/** Gives those that claim, buy and vote in the session what they need for it. */
export async function fundOwners(
  connection: ChainConnection,
  organiser: PrivateKeyAccount,
  owners: readonly Address[],
): Promise<void> {
  const least = OWNER_GAS * (await gasPriceOf(connection));
  const client = walletOn(connection, organiser);
  for (const to of owners) {
    if ((await balanceOf(connection, to)) >= least) continue;
    const hash = await sendTransaction(client, { chain: null, to, value: HEADROOM * least });
    await connection.call((chain) => chain.waitForTransactionReceipt({ hash }));
  }
}

/**
 * Keeps the time of a development chain going that makes blocks for transactions alone, as `geth --dev` does: windows and
 * votes end by the chain's clock.
 * @returns how to end it
 */
export function startTicker(connection: ChainConnection, ticker: PrivateKeyAccount, logger: Logger): () => void {
  const client = walletOn(connection, ticker);
  let busy = false;
  const tick = async (): Promise<void> => {
    const { timestamp } = await connection.call((chain) => chain.getBlock());
    if (BigInt(Math.floor(Date.now() / 1_000)) - timestamp < STANDS_AFTER) return;
    await sendTransaction(client, { chain: null, to: ticker.address, value: 0n });
  };
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    tick()
      .catch((error: unknown) => logger.debug({ err: error }, "the chain's clock could not be moved"))
      .finally(() => {
        busy = false;
      });
  }, TICK_MS);
  return () => clearInterval(timer);
}

/**
 * Makes the state that is to begin with the wallets of this one, on which coins may lie, beside it: whatever ends the process
 * once this one is out of its place, the next start takes it up. Who calls it holds the lock of the state.
 * @returns it, locked until it has its place, so that nobody takes it for left over meanwhile; undefined where there are no wallets
 * @throws as the state directory
 */
export async function prepareHeir(state: string): Promise<StateDirectory | undefined> {
  await dropHeir(state);
  if (!existsSync(keys(state))) return undefined;
  const heir = await openStateDirectory(heirOf(state), { create: true });
  try {
    // Whole before it has its name.
    await cp(keys(state), `${keys(heir.path)}.copy`, {
      recursive: true,
      preserveTimestamps: true,
      // Whose locks are of what they signed in the model that is put aside.
      filter: (file) => !isSignerLock(file),
    });
    await rename(`${keys(heir.path)}.copy`, keys(heir.path));
    return heir;
  } catch (error) {
    heir.close();
    throw error;
  }
}

/** @throws as the state directory; UserError `STATE_LOCKED` while somebody takes it up */
export async function dropHeir(state: string): Promise<void> {
  await removeStateDirectory(heirOf(state));
}

/**
 * Takes up the state that begins with the wallets of the one before, by whichever start comes first.
 * @param prepared by this start, which has its lock
 * @returns false where there is none, or another state
 * @throws as the state directory
 */
export async function takeUpHeir(state: string, prepared?: StateDirectory): Promise<boolean> {
  const path = heirOf(state);
  if (!isHeirDue(state)) return false;
  const heir = prepared ?? (await openStateDirectory(path));
  try {
    if (!isHeirDue(state)) return false;
    // Windows moves no directory with open files in it; elsewhere it is locked until it has its place.
    if (process.platform === "win32") heir.close();
    await rename(path, state);
    return true;
  } finally {
    heir.close();
  }
}

/**
 * Puts the old state aside for one that begins anew. Who calls it has checked all that could be refused before.
 * @param keeps whether what begins in its place has its wallets
 * @returns whether that has its place
 */
export async function putAside(
  notice: (line: string) => void,
  state: string,
  clock: Clock,
  keeps: boolean,
): Promise<boolean> {
  let heir: StateDirectory | undefined;
  try {
    const archived = await archiveStateDirectory(state, clock, async () => {
      if (keeps) heir = await prepareHeir(state);
      else await dropHeir(state);
    });
    if (archived) notice(`The old state was put aside as ${archived}.`);
    else if (!keeps) await dropHeir(state);
    return await takeUpHeir(state, heir);
  } finally {
    heir?.close();
  }
}
