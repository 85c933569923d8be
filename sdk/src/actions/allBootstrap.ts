/** Reads and writes of Bootstrap by name: all.ts has those of all contracts. */
import {
  announceAct,
  announcedAct,
  bootstrapClaimed,
  bootstrapNeeded,
  bootstrapOf,
  bootstrapTerms,
  carryOutAct,
  endBootstrap,
  requireVotable,
  standingAct,
  withdrawAct,
} from "./bootstrap.ts";

export const bootstrapReads = {
  announcedAct,
  bootstrapClaimed,
  bootstrapNeeded,
  bootstrapOf,
  bootstrapTerms,
  standingAct,
};

export const bootstrapWrites = { announceAct, carryOutAct, endBootstrap, requireVotable, withdrawAct };
