/** What stands in the world of the simulation, whatever the seed. */
import type { Address, HeadHash, Hex } from "@cotrain/sdk/protocol";

import { START } from "./simulated.ts";

const EPOCH = 16;
export const WINDOW = 4;
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
}

export const epochAt = (at: number): number => 1 + Math.floor((at - START / 1_000) / EPOCH);
export const endOf = (epoch: number): number => START / 1_000 + epoch * EPOCH;
