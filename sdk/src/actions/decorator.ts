/** All actions on one client: `client.extend(cotrainActions({ addresses }))`. Import single actions to keep a bundle small. */
import type { Client } from "viem";
import { addressesFor } from "../addresses.ts";
import type { ContractAddresses } from "../protocol/documents.ts";
import type { Call, ClientArgs, SyncOptions, Write, WriteArgs } from "./action.ts";
import { ballotNonce, ballotToSign, castVoteBySig, signBallot } from "./ballots.ts";
import { claimAndDelegate, makesBatches, sendBatch } from "./batch.ts";
import {
  allowCapital,
  batchCapital,
  capitalDepositOf,
  capitalSaleOf,
  claimCapital,
  depositCapital,
  depositCapitalWithPermit,
  newestSaleTerms,
  refundCapital,
  saleBookOf,
  saleOf,
  setSaleTerms,
  settleSale,
  unsettledSales,
} from "./capital.ts";
import { headOf, isSuspended, postHead, postHeads, suspendPoster } from "./checkpoints.ts";
import {
  ageJudgedAt,
  backingOf,
  bondCreditOf,
  bondOf,
  bondTerms,
  bootstrapClaimed,
  bootstrapNeeded,
  bootstrapOf,
  bootstrapTerms,
  disputedRoot,
  disputeOf,
  disputeRoot,
  endBootstrap,
  ruleDispute,
  setDisputeBond,
  settleDispute,
  withdrawBonds,
} from "./disputes.ts";
import { authorisable, authorisedThrough, budgetOf, epochEnd, epochOf, setBudget, yearlyCapOf } from "./emission.ts";
import {
  cancel,
  castVote,
  execute,
  governorSettings,
  hasVoted,
  proposalDeadline,
  proposalEta,
  proposalExpiry,
  proposalProposer,
  proposalSnapshot,
  proposalState,
  proposalVotes,
  propose,
  queue,
  quorumAt,
} from "./governance.ts";
import {
  approveGrant,
  approveGrantByVote,
  burnVoidedGrants,
  claimGrant,
  codeGrantsOf,
  grantCapsOf,
  grantDueAt,
  grantOf,
  grantsApprovedIn,
  grantSetVoidedAt,
  revokeGrant,
  setGrantCaps,
  unburnedOf,
  voidGrantSet,
} from "./grants.ts";
import {
  createModel,
  governorOf,
  modelContractsOf,
  organiserOf,
  scheduleOf,
  settingLimits,
  sharesOf,
  timelockOf,
} from "./models.ts";
import {
  allowRevenue,
  countRevenue,
  depositRevenue,
  depositRevenueWithPermit,
  revenueArrivedThrough,
  revenueAvailable,
  revenueBookOf,
  revenueDepositsOf,
} from "./revenue.ts";
import {
  activateRoot,
  activeRoot,
  claim,
  claimMany,
  claimNonce,
  claimTo,
  paidBits,
  pendingRoot,
  postRoot,
  revokeClaimTo,
  rootAt,
  unpaidLeaves,
} from "./rewards.ts";
import {
  admitBuild,
  boundsOf,
  currentParamsVersion,
  isAdmitted,
  openRunOf,
  paramsOf,
  registerRun,
  runCountOf,
  runOf,
  setParams,
  setPoster,
  setStatus,
  versionAt,
} from "./runs.ts";
import {
  balanceOf,
  delegate,
  delegateBySig,
  delegateOf,
  delegationNonce,
  delegationToSign,
  pastSupplyOf,
  pastVotesOf,
  signDelegation,
  totalSupply,
  votesOf,
} from "./shares.ts";
import { isSignedBy, signingDomain } from "./signatures.ts";
import {
  activeStakeOf,
  collectFees,
  depositStake,
  executeRuling,
  proposeRuling,
  reporterFeesOf,
  requestStakeWithdrawal,
  rulingOf,
  setSlashTerms,
  setStakePayee,
  slashAttestations,
  slashTermsOf,
  slashVerdicts,
  slashVetoed,
  slashVoided,
  stakeLeavesAt,
  stakeManagerOf,
  stakeOf,
  stakeWithdrawalDelay,
  vetoRuling,
  withdrawStake,
} from "./stakes.ts";
import {
  consentAsValidator,
  countSigners,
  currentMaintainers,
  currentSetVersion,
  hasConsented,
  maintainersOf,
  newestMaintainers,
  newestSetVersion,
  setMaintainers,
  setOf,
  setValidators,
  validatorUntil,
} from "./validators.ts";

const reads = {
  ageJudgedAt,
  authorisable,
  authorisedThrough,
  activeRoot,
  activeStakeOf,
  backingOf,
  balanceOf,
  ballotNonce,
  ballotToSign,
  bondCreditOf,
  bondOf,
  bondTerms,
  bootstrapClaimed,
  bootstrapNeeded,
  bootstrapOf,
  bootstrapTerms,
  boundsOf,
  budgetOf,
  capitalDepositOf,
  capitalSaleOf,
  claimAndDelegate,
  claimNonce,
  codeGrantsOf,
  countSigners,
  currentMaintainers,
  currentParamsVersion,
  currentSetVersion,
  delegateOf,
  delegationNonce,
  delegationToSign,
  disputedRoot,
  disputeOf,
  epochEnd,
  epochOf,
  governorOf,
  governorSettings,
  grantCapsOf,
  grantDueAt,
  grantOf,
  grantsApprovedIn,
  grantSetVoidedAt,
  hasConsented,
  hasVoted,
  headOf,
  isAdmitted,
  isSignedBy,
  isSuspended,
  maintainersOf,
  makesBatches,
  modelContractsOf,
  newestMaintainers,
  newestSaleTerms,
  newestSetVersion,
  openRunOf,
  organiserOf,
  paramsOf,
  pastSupplyOf,
  pastVotesOf,
  paidBits,
  pendingRoot,
  proposalDeadline,
  proposalEta,
  proposalExpiry,
  proposalProposer,
  proposalSnapshot,
  proposalState,
  proposalVotes,
  quorumAt,
  reporterFeesOf,
  revenueArrivedThrough,
  revenueAvailable,
  revenueBookOf,
  revenueDepositsOf,
  rootAt,
  rulingOf,
  runCountOf,
  runOf,
  saleBookOf,
  saleOf,
  scheduleOf,
  sendBatch,
  setOf,
  settingLimits,
  sharesOf,
  signBallot,
  signDelegation,
  signingDomain,
  slashTermsOf,
  stakeLeavesAt,
  stakeManagerOf,
  stakeOf,
  stakeWithdrawalDelay,
  timelockOf,
  totalSupply,
  unburnedOf,
  unpaidLeaves,
  unsettledSales,
  validatorUntil,
  versionAt,
  votesOf,
  yearlyCapOf,
};

const writes = {
  activateRoot,
  admitBuild,
  allowCapital,
  allowRevenue,
  approveGrant,
  approveGrantByVote,
  batchCapital,
  burnVoidedGrants,
  cancel,
  castVote,
  castVoteBySig,
  claim,
  claimCapital,
  claimGrant,
  claimMany,
  claimTo,
  collectFees,
  consentAsValidator,
  countRevenue,
  createModel,
  delegate,
  delegateBySig,
  depositCapital,
  depositCapitalWithPermit,
  depositRevenue,
  depositRevenueWithPermit,
  depositStake,
  disputeRoot,
  endBootstrap,
  execute,
  executeRuling,
  postHead,
  postHeads,
  postRoot,
  propose,
  proposeRuling,
  queue,
  refundCapital,
  registerRun,
  requestStakeWithdrawal,
  revokeClaimTo,
  revokeGrant,
  ruleDispute,
  setBudget,
  setDisputeBond,
  setGrantCaps,
  setMaintainers,
  setParams,
  setPoster,
  setSaleTerms,
  setSlashTerms,
  setStakePayee,
  setStatus,
  setValidators,
  settleDispute,
  settleSale,
  slashAttestations,
  slashVerdicts,
  slashVetoed,
  slashVoided,
  suspendPoster,
  vetoRuling,
  voidGrantSet,
  withdrawStake,
  withdrawBonds,
};

/** A write whose client, and addresses where it was given some, are settled. */
export interface BoundWrite<Args, Result, Event> {
  (args: WriteArgs<Args>): ReturnType<Write<Args, Result, Event>>;
  readonly call: (args: ClientArgs<Args>) => Call;
  readonly simulate: (args: WriteArgs<Args>) => ReturnType<Write<Args, Result, Event>["simulate"]>;
  readonly sync: (args: WriteArgs<Args> & SyncOptions) => ReturnType<Write<Args, Result, Event>["sync"]>;
  readonly extractEvent: Write<Args, Result, Event>["extractEvent"];
}

type BoundReads = {
  readonly [K in keyof typeof reads]: (typeof reads)[K] extends (client: Client, args: infer Args) => infer Result
    ? (args: Args) => Result
    : never;
};
type BoundWrites = {
  readonly [K in keyof typeof writes]: (typeof writes)[K] extends Write<infer Args, infer Result, infer Event>
    ? BoundWrite<Args, Result, Event>
    : never;
};
export type CotrainActions = BoundReads & BoundWrites;

type AnyArgs = Readonly<Record<string, unknown>>;
type AnyRead = (client: Client, args: AnyArgs) => Promise<unknown>;
type AnyWrite = Write<AnyArgs, unknown, unknown>;

export interface CotrainActionsOptions {
  /** Needed on chains without a published deployment, local ones above all. */
  readonly addresses?: Readonly<ContractAddresses>;
}

/**
 * @example
 * const client = createWalletClient({ account, chain, transport: http() }).extend(cotrainActions({ addresses }))
 * const { head } = await client.headOf({ runId })
 */
export function cotrainActions({ addresses }: CotrainActionsOptions = {}) {
  const located = (args: AnyArgs = {}): AnyArgs => (addresses ? { addresses, ...args } : args);
  return (client: Client): CotrainActions => {
    const bindRead = (read: AnyRead) => (args?: AnyArgs) => read(client, located(args));
    const bindWrite = (write: AnyWrite) =>
      Object.assign((args: AnyArgs) => write(client, located(args)), {
        call: (args: AnyArgs) =>
          write.call(
            write.addressed
              ? { ...args, addresses: addressesFor(client, (args["addresses"] ?? addresses) as ContractAddresses) }
              : args,
          ),
        simulate: (args: AnyArgs) => write.simulate(client, located(args)),
        sync: (args: AnyArgs) => write.sync(client, located(args)),
        extractEvent: write.extractEvent,
      });
    return Object.fromEntries([
      ...Object.entries(reads).map(([name, read]) => [name, bindRead(read as unknown as AnyRead)]),
      ...Object.entries(writes).map(([name, write]) => [name, bindWrite(write as unknown as AnyWrite)]),
    ]) as CotrainActions;
  };
}
