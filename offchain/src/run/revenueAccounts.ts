/**
 * Roots of revenue as daemons ask for them: the next that is due, whether one that somebody tells of is what the chain says, and what
 * one that was posted should be.
 */
import { type ClaimLeaf, revenueAvailable } from "@cotrain/sdk/actions";
import type { Address, Attestation, ModelId } from "@cotrain/sdk/protocol";
import { parseUnits } from "viem";

import { UserError } from "../base/index.ts";
import type { ChainConnection, ChainReader, SignedRoot } from "../chain/index.ts";
import { type CapitalToken, tokenText } from "./capital.ts";
import { revenueAt } from "./revenue.ts";
import { shortOf } from "./revenueClaims.ts";
import type { PaidFalsely } from "./paidRoots.ts";
import { type RecomputedPlace, recomputeRevenueRoot, revenuePaidFalsely } from "./revenueRecompute.ts";
import { revenueLeaves } from "./revenueShares.ts";
import { checkRevenueAgain } from "./revenueTwice.ts";
import { checkRevenueRoot, nextRevenueRoot, type RevenueSigned, type RevenueStatement } from "./revenueRoot.ts";

/** What active roots of revenue grant some accounts, paid or not. */
interface RevenueGranted {
  /** In the token's smallest units: what was asked for in whole tokens. */
  readonly least: bigint;
  /** What the vault lacks, since the token took it: a claim would bring a part, for good. */
  readonly short: bigint;
  readonly leavesOf: (account: Address) => readonly ClaimLeaf[];
  /** An amount with the token's symbol. */
  readonly text: (amount: bigint) => string;
}

export interface RevenueAccounts {
  /**
   * The root of what arrived in epochs that are over and no root has set aside.
   * @param atLeast what there must be of it, in whole tokens, of which six decimals count: a stranger who pays less makes nobody work,
   *   and what it paid is shared with what comes after it
   * @returns undefined where there is less, or the model takes no revenue
   * @throws UserError as `nextRevenueRoot`; RetryableError of the chain
   */
  next(modelId: ModelId, atLeast: number): Promise<RevenueStatement | undefined>;
  /**
   * @throws UserError where it is not what this chain says, or can be posted no more; RetryableError where its block is not confirmed
   *   here: `checkRevenueRoot`
   */
  check(modelId: ModelId, attestation: Attestation): Promise<void>;
  /** The same by a reader that remembers nothing, before it is signed. @throws as `checkRevenueAgain` */
  checkAgain(modelId: ModelId, attestation: Attestation): Promise<void>;
  /** Active roots that are not what the chain says they should be; none where the model takes no revenue. @throws as `computeRevenue` */
  paidFalsely(modelId: ModelId): Promise<readonly PaidFalsely[]>;
  /**
   * What the root in its window should be.
   * @returns undefined where there is nothing to set aside
   * @throws as `recomputeRevenueRoot`; UserError `REVENUE_NONE`
   */
  recompute(modelId: ModelId, posted: Pick<SignedRoot, "digest" | "attestation">): Promise<RevenueSigned | undefined>;
  /**
   * Of roots that are what the chain says; of others nothing.
   * @param least in whole tokens, as in `next`
   * @throws as `computeRevenue`
   */
  granted(modelId: ModelId, accounts: readonly Address[], least: number): Promise<RevenueGranted>;
}

interface Modules {
  readonly reader: ChainReader;
  readonly connection: ChainConnection;
  /** Block at or before the contracts' first. */
  readonly fromBlock: number;
}

/** Posting delays that a quorum of validators has: one less than it may, since their nodes may lag. */
const DELAYS = 4;
/** What says that nothing is due. */
const NOTHING: ReadonlySet<string> = new Set(["REVENUE_NONE", "REVENUE_NOTHING"]);

/** Decimals of an amount that counts as a bound. */
const COUNTED = 6;

const leastOf = (atLeast: number, { decimals }: CapitalToken): bigint =>
  parseUnits(atLeast.toFixed(Math.min(decimals, COUNTED)), decimals);

export function revenueAccounts({ reader, connection, fromBlock }: Modules): RevenueAccounts {
  const placeOf = (modelId: ModelId): RecomputedPlace => ({
    reader,
    connection,
    addresses: reader.contracts,
    fromBlock,
    modelId,
  });
  return {
    next: async (modelId, atLeast) => {
      const place = placeOf(modelId);
      try {
        const revenue = await revenueAt(place);
        const arrived = { revenue: revenue.revenue, modelId, to: BigInt(revenue.epoch - 1) };
        // Before anything that takes long.
        const available = await connection.call((client) => revenueAvailable(client, arrived));
        if (available < leastOf(atLeast, revenue.token)) return undefined;
        return await nextRevenueRoot(place, revenue, DELAYS);
      } catch (error) {
        if (error instanceof UserError && NOTHING.has(error.code)) return undefined;
        throw error;
      }
    },
    check: async (modelId, attestation) => {
      const place = placeOf(modelId);
      await checkRevenueRoot(place, await revenueAt(place), attestation, { what: "It" });
    },
    checkAgain: (modelId, attestation) => checkRevenueAgain({ ...placeOf(modelId), connection }, attestation),
    paidFalsely: async (modelId) => revenuePaidFalsely(placeOf(modelId)),
    recompute: async (modelId, posted) => {
      const place = placeOf(modelId);
      return recomputeRevenueRoot(place, await revenueAt(place), posted);
    },
    granted: async (modelId, accounts, least) => {
      const place = placeOf(modelId);
      const revenue = await revenueAt(place);
      const { token } = revenue;
      const newest = await connection.call((client) => client.getBlockNumber());
      const { leavesOf } = await revenueLeaves(place, revenue, accounts, newest);
      return {
        least: leastOf(least, token),
        short: await shortOf(place, revenue),
        leavesOf,
        text: (amount) => tokenText(amount, token),
      };
    },
  };
}
