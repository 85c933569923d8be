/**
 * Verdict.kind, and what a verdict of each kind must look like: said once for the validator that signs it, the coordinator that
 * takes it and the accounts in which it counts. A kind without a form is one that nobody can judge yet.
 */
import { type Address, zeroAddress } from "viem";

import type { Verdict, WireStruct } from "./typedData.ts";

/** Verdict.kind; a confirmation says that what another validator drew does not hold. */
export const verdictKind = { utility: 1, replay: 2, aggregate: 3, loss: 4, confirmation: 5 } as const;

export interface VerdictForm {
  /**
   * What is wrong with it by itself, as a clause; empty when nothing is.
   * @param fragments of the run
   */
  readonly problemOf: (verdict: Verdict, fragments: number) => string;
  /** Whose draw of the head its index must be, where sortition decides what is looked at. */
  readonly drawerOf?: (verdict: Verdict) => Address;
  /** Whether its index says how many held-out sequences were measured. */
  readonly isSample?: true;
  /** Whether validators make it one after another, in `measuringOrder` of the head: a later one when those before are silent. */
  readonly isInTurn?: true;
  /** Whether it says that the head's aggregate holds, or, by a value of 0, that it does not. */
  readonly isVoice: boolean;
}

export const verdictForms = {
  [verdictKind.aggregate]: {
    problemOf: ({ worker, index, value }, fragments) => {
      if (worker !== zeroAddress) return "it names a worker";
      if (index >= fragments) return `there is no fragment ${index}`;
      return value === 0n || value === 10_000n ? "" : `its value is 0 or 10000, not ${value}`;
    },
    drawerOf: ({ validator }) => validator,
    isVoice: true,
  },
  [verdictKind.confirmation]: {
    problemOf: ({ validator, worker, value }) => {
      if (worker === validator) return "it confirms what its own validator drew";
      return value === 0n ? "" : `its value is 0, not ${value}`;
    },
    drawerOf: ({ worker }) => worker,
    isVoice: true,
  },
  [verdictKind.loss]: {
    problemOf: ({ worker, value }) => {
      if (worker !== zeroAddress) return "it names a worker";
      return value > BigInt(Number.MAX_SAFE_INTEGER) ? `${value} is out of range` : "";
    },
    isSample: true,
    isInTurn: true,
    isVoice: false,
  },
} satisfies Readonly<Record<number, VerdictForm>>;

const byKind: Readonly<Record<number, VerdictForm>> = verdictForms;
export const verdictFormOf = (kind: number): VerdictForm | undefined => byKind[kind];

/** What makes two statements of one validator contradict each other when their values differ. */
export const verdictKey = (verdict: WireStruct<"Verdict">): string =>
  [verdict.head, verdict.kind, verdict.worker, verdict.index, verdict.validator].join(":");

/** Whether verdicts of a kind say if a head's aggregate holds. */
export const isVoice = (kind: number): boolean => byKind[kind]?.isVoice === true;
