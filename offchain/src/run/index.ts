/**
 * run: what every participant of a run needs between the chain and its own work: the documents under heads and roots, by digest
 * and verified, an epoch's accounts, sortition, verification from the contracts alone. May import base, diloco, data, storage,
 * service and chain. Start at ports.ts, at documents.ts for what stands behind a head, at epoch.ts for who is paid what.
 */
export {
  createRecordReader,
  pastScreenings,
  problemOfRecord,
  problemOfSample,
  problemOfScreening,
  readScreening,
} from "./screening.ts";
export {
  epochInputsOf,
  epochManifestOf,
  epochRewardsOf,
  epochVerdictsOf,
  leavesOf,
  rewardsFromInputs,
  rewardTreeOf,
} from "./epochDocuments.ts";
export { computeEpoch, type EpochModules } from "./epoch.ts";
export { requireTurns } from "./replaced.ts";
export { deadlineOf } from "./standing.ts";
export {
  createHeadDocumentsCache,
  type HeadDocuments,
  type HeadDocumentsCache,
  readHeadDocuments,
} from "./documents.ts";
export {
  DocumentError,
  fitDefinition,
  isItsWord,
  isMalformed,
  isUnfit,
  isWrong,
  problemOfFragments,
  type RunDocuments,
  runDocuments,
  wasAdmitted,
} from "./published.ts";
export { foreignIn, problemOfBuild, problemOfPrograms } from "./programs.ts";
export { sharer } from "./positions.ts";
export { verifyReceipts } from "./receipts.ts";
export { drawnBy, type Sortition, sortitionOf } from "./sortition.ts";
export { blamesByLoss, blamesByMeasure, readMeasured, requireMeasures } from "./measured.ts";
export { isNotHad, type PayloadPlace, problemOfUnreadable } from "./unreadable.ts";
export { isAway } from "./away.ts";
export { rejectedHeads } from "./rejected.ts";
export { isLost, type Unpaid, UNPAID_EPOCHS, type UnpaidWork, unpaidWork } from "./unpaid.ts";
export { workOf } from "./work.ts";
export { type PaidFalsely, paidRoots } from "./paidRoots.ts";
export { type HeadReport, verifyRun, type VerifySummary } from "./verify.ts";
export { WalkMemory } from "./walkMemory.ts";
export type * from "./ports.ts";
export { blobSourceOf, patientBlobs, rememberingBlobs } from "./blobSource.ts";
export * from "./ballot.ts";
export * from "./builds.ts";
export * from "./proposals.ts";
export { wordsBudget, wordsOfCall, type WordsPlace } from "./proposalWords.ts";
export { withPassed } from "./proposedCalls.ts";
export * from "./contracts.ts";
export * from "./creation.ts";
export * from "./runEnd.ts";
export * from "./nextRun.ts";
export { laterBlock, type Looking, patienceOn, takeUpNextRun, untilLaterBlock } from "./takeUp.ts";
export * from "./delegation.ts";
export { type KeptLoss, lossKeeper, readKeptLoss } from "./keptLoss.ts";
export * from "./local.ts";
export * from "./options.ts";
export { type Recipe, recipeKeys, recipeOf, type RecipeRequest, requestBeside, requestOf } from "./recipe.ts";
export * from "./remote.ts";
export { claimLeaves, earningsOf, ensureDelegate, lacksVotes, takeUpVotes } from "./claims.ts";
export { type ActiveRewards, activeRewards, keyOfRoot, type KnownRewards, knownRewards, rootsUpTo } from "./rewards.ts";
export * from "./shareEvents.ts";
export * from "./shares.ts";
export * from "./sharesAt.ts";
export * from "./suspension.ts";
export * from "./grants.ts";
export * from "./budgets.ts";
export * from "./successors.ts";
export * from "./standingHeads.ts";
export {
  MOST_SIGNERS,
  nextSigners,
  type NextSigners,
  type SignerRole,
  type Signers,
  type SignersChange,
  type SignerSet,
  signersOf,
} from "./signers.ts";
export { type SignedStatement, withSigner } from "./signatures.ts";
export * from "./capital.ts";
export * from "./revenue.ts";
export { computeRevenue, revenueLeaves } from "./revenueShares.ts";
export { beginRevenueRoot, readRevenueRoot, type RevenueStatement, writeRevenueRoot } from "./revenueRoot.ts";
export { checkRevenueAgain, type FreshReader } from "./revenueTwice.ts";
export { type QuorumRoot, signedRoot, waitingRoot } from "./signedRoots.ts";
export { claimRevenue, type RevenueEarnings, type RevenueOwed, revenueOwed } from "./revenueClaims.ts";
export { revenueAccounts, type RevenueAccounts } from "./revenueAccounts.ts";
export {
  ACT_GRACE,
  type AnnouncedAct,
  bootstrapAt,
  isBootstrapDue,
  type BootstrapStanding,
  createActsWatch,
  type ToldAct,
} from "./bootstrap.ts";
export * from "./disputes.ts";
export { type HeadAct, newestHeadActs } from "./headActs.ts";
export { isDisputeVote } from "./disputeWords.ts";
export { type VoteTerm, voteTermNames, voteTerms, type VoteTerms, voteTermText } from "./voteTerms.ts";
export * from "./stakes.ts";
export { newestRulings, rulingOn, type WorkRuling } from "./rulings.ts";
export {
  type Contradiction,
  contradictionOfFile,
  contradictionText,
  lossForContradiction,
  nameOfContradiction,
  readContradiction,
  reportContradiction,
  type StatementsPlace,
  verdictsContradict,
  writeContradiction,
} from "./contradictions.ts";
export { createOffenceWatch, offenceText, type ToldOffence } from "./offenceWatch.ts";
export { lossFor, type Refused, refusedText, reportSignature, vetoedRulings, voidedRoots } from "./offences.ts";
export {
  beginRuling,
  readRuling,
  rulingCost,
  type RulingDraft,
  type RulingFacts,
  rulingFacts,
  vetoEndsOf,
  writeRuling,
} from "./ruling.ts";
export * from "./buying.ts";
export type { SignedPermit } from "./permits.ts";
export { type CodeBudget, codeBudgetAt } from "./codeBudget.ts";
export { commitIn, commitOfClone, headCommitOf, isSameRepository, originOf } from "./gitCommit.ts";
export * from "./wallets.ts";
export * from "./facts.ts";
export * from "./heldOut.ts";
export * from "./joining.ts";
export { machineClassOf, partsOfClass } from "./machineClass.ts";
export { withEpochAccounts } from "./accounts.ts";
