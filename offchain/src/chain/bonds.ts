/**
 * The bond that a root bears after one that failed, and that of a dispute: whether this account puts it up. What lacks is no wait of
 * the posting journal's, since heads stand behind the root in its queue: the posting ends, and whoever wants it asks again.
 */
import { successionOf } from "@cotrain/sdk/actions";
import { asAddress, type ContractAddresses, mintedKind, type ModelId, rewardKind } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { type Clock, RetryableError } from "../base/index.ts";
import type { ChainConnection } from "./connection.ts";
import type { ChainReader, FeeWait } from "./ports.ts";
import { rootsIn } from "./rootsIn.ts";

/** Wei that a root may bear where nobody says otherwise: a coin. */
export const DEFAULT_BOND_AT_MOST = 10n ** 18n;

/** Ms after which nobody asks any more: the root was posted by others, or is computed again. */
const FORGOTTEN_MS = 120_000;

export interface Bonds {
  /** What goes along with the next root of a kind, wei. @throws RetryableError `BOND_TOO_HIGH`, `BOND_LACKING`, `BOND_SUCCEEDED` */
  due(modelId: ModelId, kind: number): Promise<bigint>;
  /** What goes along with a dispute about a root of a kind now, wei. @throws RetryableError `DISPUTE_DEAR`, `DISPUTE_UNFUNDED` */
  ofDispute(modelId: ModelId, kind: number): Promise<bigint>;
  /** What the bond of a root waits for. */
  wait(): FeeWait | undefined;
}

export interface BondModules {
  readonly reader: Pick<ChainReader, "chainTime" | "disputeCost" | "rootsOfKind" | "schedule">;
  readonly clock: Clock;
  /** Wei that a root may bear, and a dispute cost. */
  readonly atMost: bigint;
  /** What the fees of a transaction may take, which must be there beside it, wei. */
  readonly maxFee: bigint;
  /** Of the account that posts, wei. */
  readonly balance: () => Promise<bigint>;
  /** From when on another contract distributes in place of the one that roots are posted to, chain seconds; undefined where none does. */
  readonly replacedFrom: (modelId: ModelId, kind: number) => Promise<number | undefined>;
}

/** What `BondModules.replacedFrom` asks the chain. */
export const replacementIn =
  ({ call }: Pick<ChainConnection, "call">, addresses: ContractAddresses): BondModules["replacedFrom"] =>
  async (modelId, kind) => {
    // Revenue is minted by nobody, so that nobody takes over.
    if (kind !== rewardKind.compute) return undefined;
    const named = await call((client) => successionOf(client, { addresses, modelId, kind: mintedKind.compute }));
    return named && asAddress(named.successor) !== asAddress(addresses.computeRewards) ? named.from : undefined;
  };

export function createBonds({ reader, clock, atMost, maxFee, balance, replacedFrom }: BondModules): Bonds {
  let waiting: (FeeWait & { readonly askedAt: number }) | undefined;
  const isWaiting = (): boolean => waiting !== undefined && clock.monotonic() - waiting.askedAt < FORGOTTEN_MS;
  const lacks = (what: "bond" | "bondCoins", asked: bigint, allowed: bigint): void => {
    const since = waiting && isWaiting() ? waiting.since : clock.now();
    waiting = { what, asked, allowed, since, askedAt: clock.monotonic() };
  };
  return {
    due: async (modelId, kind) => {
      const { bond, isDue } = await rootsIn<"disputeCost">(reader, kind).disputeCost(modelId);
      if (!isDue) {
        waiting = undefined;
        return 0n;
      }
      const from = await replacedFrom(modelId, kind);
      if (from !== undefined && (await reader.chainTime()) + (await reader.schedule(modelId)).window >= from) {
        waiting = undefined;
        throw new RetryableError(
          "BOND_SUCCEEDED",
          `The root before did not stand, so the next one bears a bond, and its window would end after another contract distributes, ${from} in chain seconds: it would never be activated, nor its bond come back. Nothing is posted.`,
        );
      }
      if (bond > atMost) {
        lacks("bond", bond, atMost);
        throw new RetryableError(
          "BOND_TOO_HIGH",
          `The root before did not stand, so the next one bears a bond of ${formatEther(bond)} coins, which come back with its activation; --bond-at-most allows ${formatEther(atMost)}. Nothing is posted until it allows more.`,
        );
      }
      const [asked, has] = [bond + maxFee, await balance()];
      if (has < asked) {
        lacks("bondCoins", asked, has);
        throw new RetryableError(
          "BOND_LACKING",
          `The root before did not stand, so the next one bears a bond of ${formatEther(bond)} coins, which come back with its activation; the poster has ${formatEther(has)} and needs ${formatEther(asked)}, the fees that it may pay included.`,
        );
      }
      waiting = undefined;
      return bond;
    },
    ofDispute: async (modelId, kind) => {
      const { bond } = await rootsIn<"disputeCost">(reader, kind).disputeCost(modelId);
      if (bond > atMost)
        throw new RetryableError(
          "DISPUTE_DEAR",
          `A dispute costs a bond of ${formatEther(bond)} coins now, and ${formatEther(atMost)} are allowed: nothing is sent.`,
        );
      const [asked, has] = [bond + maxFee, await balance()];
      if (has < asked)
        throw new RetryableError(
          "DISPUTE_UNFUNDED",
          `A dispute costs a bond of ${formatEther(bond)} coins now; the wallet has ${formatEther(has)} and needs ${formatEther(asked)}, the fees that it may pay included: nothing is sent.`,
        );
      return bond;
    },
    wait: () => {
      if (!waiting || !isWaiting()) return undefined;
      const { askedAt: _asked, ...wait } = waiting;
      return wait;
    },
  };
}
