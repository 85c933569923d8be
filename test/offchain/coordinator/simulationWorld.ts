/** What stands in the world of the simulation, whatever the seed. */
import type { Address, HeadHash, Hex } from "@cotrain/sdk/protocol";

import type { Random } from "../../../offchain/src/base/index.ts";
import type { HeadsMoved, Unstamped } from "../../../offchain/src/coordinator/machine/events.ts";
import type { RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import { START } from "./simulated.ts";

const EPOCH = 16;
export const WINDOW = 4;
/** Seconds of a vote on a dispute. */
const VOTE = 8;
/** Disputes of one run: who disputes runs out of coins. */
const MOST_DISPUTES = 3;
export const POSTING_DELAY = 12;
export const addressOf = (index: number): Address => `0x${(index + 16).toString(16).repeat(20)}`;
export const validators = [addressOf(100), addressOf(101), addressOf(102)];

export interface ChainHead {
  readonly head: HeadHash;
  readonly sequence: number;
  readonly anchoredAt: number;
}
export interface ChainRoot {
  readonly epoch: number;
  readonly root: Hex;
  readonly activatableAt: number;
  /** What was signed of it; undefined for one that an RPC made up. */
  readonly signed?: string;
}

export const epochAt = (at: number): number => 1 + Math.floor((at - START / 1_000) / EPOCH);
export const endOf = (epoch: number): number => START / 1_000 + epoch * EPOCH;

/** What is signed: of another block it is something else. */
export const signedOf = ({ root, blockNumber }: { readonly root: Hex; readonly blockNumber: string }): string =>
  `${root}/${blockNumber}`;

type Ruling = "void" | "undecided";

/** Disputes about pending roots, and how holders vote. */
export function createCourt(random: Random, seconds: () => number) {
  /** What was signed of roots that fell; roots that the holders voted against; and by root how its last dispute ended. */
  const ruled = new Set<string>();
  const voided = new Set<Hex>();
  const failed = new Map<Hex, Ruling>();
  let votesUntil: number | undefined;
  let opened = 0;
  let fallen = 0;
  return {
    ruled,
    voided,
    failed,
    /** How many roots fell. */
    get fallen() {
      return fallen;
    },
    get isOpen() {
      return votesUntil !== undefined;
    },
    open(): void {
      if (votesUntil !== undefined || opened >= MOST_DISPUTES) return;
      opened += 1;
      votesUntil = seconds() + VOTE;
    },
    /** The chain went back behind it. */
    forget(): void {
      votesUntil = undefined;
    },
    /** The coordinator ends it when its vote is over. @returns whether the root fell */
    settle({ root, signed }: ChainRoot): boolean {
      if (votesUntil === undefined || seconds() <= votesUntil) return false;
      votesUntil = undefined;
      if (random.float() < 0.3) return false;
      const ruling: Ruling = random.float() < 0.5 ? "void" : "undecided";
      fallen += 1;
      if (signed !== undefined) ruled.add(signed);
      failed.set(root, ruling);
      if (ruling === "void") voided.add(root);
      return true;
    },
  };
}

/** What the watch of the chain says where heads stand in other epochs than the log has them in. */
export function movedHeads(state: RunState, heads: readonly ChainHead[]): Unstamped<HeadsMoved> | undefined {
  const there = state.heads.filter(
    ({ anchor, head, sequence }) => anchor && sequence > 0 && heads[sequence]?.head === head,
  );
  const first = there.find(({ anchor, sequence }) => {
    const epoch = epochAt(heads[sequence]!.anchoredAt);
    return epoch !== anchor!.epoch && Math.max(epoch, anchor!.epoch) > state.settledEpoch;
  });
  if (!first) return undefined;
  const moved = there
    .filter(({ sequence }) => sequence >= first.sequence)
    .map(({ head, sequence }) => {
      const { anchoredAt } = heads[sequence]!;
      const epoch = epochAt(anchoredAt);
      return { head, sequence, anchor: { transaction: null, block: 1, anchoredAt, epoch }, epochEnd: endOf(epoch) };
    });
  return { type: "HeadsMoved", heads: moved };
}
