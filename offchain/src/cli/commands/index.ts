/** All commands, in the order of `cotrain --help`. */
import type { Command } from "../command.ts";
import { bootstrapCommand } from "./bootstrap.ts";
import { budgetCommands } from "./budget.ts";
import { buildsListCommand, buildsProposeCommand } from "./builds.ts";
import { capitalListCommand, capitalShowCommand } from "./capital.ts";
import { capitalDepositCommand } from "./capitalBuy.ts";
import { capitalClaimCommand, capitalRefundCommand, capitalSettleCommand } from "./capitalCollect.ts";
import { capitalProposeCommand } from "./capitalTerms.ts";
import { checkpointExportCommand, checkpointImportCommand } from "./checkpoint.ts";
import { checkpointListCommand } from "./checkpointList.ts";
import { checkpointRevertCommand } from "./checkpointRevert.ts";
import { checkpointRollbackCommand } from "./checkpointRollback.ts";
import { cleanCommand } from "./clean.ts";
import { codeClaimCommand, codeListCommand, codeShowCommand } from "./code.ts";
import { codeApproveCommand, codeProposeCommand } from "./codeApprove.ts";
import { codeApproveByVoteCommand } from "./codeByVote.ts";
import { codeCapsCommand } from "./codeCaps.ts";
import { codeBurnCommand, codeRevokeCommand, codeRevokeSetCommand } from "./codeEnd.ts";
import { coordinatorCommand } from "./coordinator.ts";
import { delegateCommand } from "./delegate.ts";
import { disputesListCommand } from "./disputes.ts";
import { disputesBondCommand } from "./disputesBond.ts";
import { disputesSettleCommand, disputesWithdrawCommand } from "./disputesEnd.ts";
import { disputesOpenCommand } from "./disputesOpen.ts";
import { disputesRuleCommand } from "./disputesRule.ts";
import { doctorCommand } from "./doctor.ts";
import { emissionDrawCommand, emissionProposeCommand, emissionShowCommand } from "./emission.ts";
import { emissionSuccessorCommand } from "./emissionSuccessor.ts";
import { generateCommand } from "./generate.ts";
import { machineCommand } from "./machine.ts";
import { marketDoctorCommand } from "./marketDoctor.ts";
import { marketAdoptCommand, marketGcCommand, marketReconcileCommand, marketTerminateCommand } from "./marketEnd.ts";
import { marketLendCommand } from "./marketLend.ts";
import { marketCostCommand, marketHistoryCommand, marketListCommand } from "./marketLeases.ts";
import { marketFakeCommand } from "./marketFake.ts";
import { marketKeysCommand } from "./marketKeys.ts";
import { marketOfferCommand } from "./marketOffer.ts";
import { marketOffersCommand } from "./marketOffers.ts";
import { marketPlanCommand } from "./marketPlan.ts";
import { marketReplanCommand } from "./marketReplan.ts";
import { marketPricesCommand } from "./marketPrices.ts";
import { marketRentCommand } from "./marketRent.ts";
import { marketServeCommand } from "./marketServe.ts";
import { marketLogsCommand, marketSshCommand } from "./marketShell.ts";
import { marketWatchdogCommand } from "./marketWatchdog.ts";
import { paramsCommand } from "./params.ts";
import { posterProposeCommand } from "./poster.ts";
import { posterSuspendCommand } from "./posterSuspend.ts";
import { proposalsCancelCommand } from "./proposalsCancel.ts";
import { proposalsExecuteCommand, proposalsListCommand } from "./proposals.ts";
import { proposalsTermsCommand } from "./proposalsTerms.ts";
import { proposeCommand } from "./propose.ts";
import {
  revenueClaimCommand,
  revenueCountCommand,
  revenueDepositCommand,
  revenueListCommand,
  revenueShowCommand,
} from "./revenue.ts";
import { revenueActivateCommand, revenueAttestCommand } from "./revenueRoot.ts";
import { rewardsListCommand } from "./rewards.ts";
import { rewardsClaimCommand } from "./rewardsClaim.ts";
import { rewardsRevokeCommand } from "./rewardsRevoke.ts";
import { rewardsActivateCommand, rewardsPostCommand } from "./rewardsRoot.ts";
import { runCreateCommand } from "./runCreate.ts";
import { runNextCommand } from "./runNext.ts";
import { runProposeCommand } from "./runPropose.ts";
import { sharesCommand } from "./shares.ts";
import { signersCommands } from "./signers.ts";
import { stakeCommands } from "./stake.ts";
import { stakeConflictCommand } from "./stakeConflict.ts";
import { stakePayeeCommand } from "./stakePayee.ts";
import { stakeRulingCommands } from "./stakeRulings.ts";
import { stakeFeesCommand, stakeSlashCommand } from "./stakeSlash.ts";
import { stakeRuleCommand } from "./stakeRule.ts";
import { stakeTermsCommand } from "./stakeTerms.ts";
import { statusCommand } from "./status.ts";
import { suspendCommand } from "./suspend.ts";
import { termsCommands } from "./terms.ts";
import { treasuryCommands } from "./treasury.ts";
import { upCommand } from "./up.ts";
import { validatorCommand } from "./validator.ts";
import { validatorsConsentCommand } from "./validatorsConsent.ts";
import { verifyCommand } from "./verify.ts";
import { voteCommand } from "./vote.ts";
import { watchCommand } from "./watch.ts";
import { workerCommand } from "./worker.ts";

export const commands: readonly Command[] = [
  upCommand,
  runCreateCommand,
  runProposeCommand,
  runNextCommand,
  workerCommand,
  coordinatorCommand,
  validatorCommand,
  statusCommand,
  paramsCommand,
  verifyCommand,
  generateCommand,
  rewardsListCommand,
  rewardsClaimCommand,
  rewardsPostCommand,
  rewardsActivateCommand,
  rewardsRevokeCommand,
  sharesCommand,
  delegateCommand,
  proposeCommand,
  proposalsListCommand,
  voteCommand,
  proposalsExecuteCommand,
  proposalsCancelCommand,
  proposalsTermsCommand,
  bootstrapCommand,
  watchCommand,
  disputesListCommand,
  disputesOpenCommand,
  disputesSettleCommand,
  disputesWithdrawCommand,
  disputesRuleCommand,
  disputesBondCommand,
  ...stakeCommands,
  stakePayeeCommand,
  stakeTermsCommand,
  stakeSlashCommand,
  stakeConflictCommand,
  stakeFeesCommand,
  ...stakeRulingCommands,
  stakeRuleCommand,
  buildsListCommand,
  buildsProposeCommand,
  codeProposeCommand,
  codeApproveCommand,
  codeApproveByVoteCommand,
  codeListCommand,
  codeShowCommand,
  codeClaimCommand,
  codeRevokeCommand,
  codeRevokeSetCommand,
  codeBurnCommand,
  codeCapsCommand,
  capitalDepositCommand,
  capitalListCommand,
  capitalShowCommand,
  capitalSettleCommand,
  capitalClaimCommand,
  capitalRefundCommand,
  capitalProposeCommand,
  revenueDepositCommand,
  revenueCountCommand,
  revenueListCommand,
  revenueShowCommand,
  revenueAttestCommand,
  revenueActivateCommand,
  revenueClaimCommand,
  emissionShowCommand,
  emissionProposeCommand,
  emissionDrawCommand,
  emissionSuccessorCommand,
  ...budgetCommands,
  ...treasuryCommands,
  ...termsCommands,
  ...signersCommands,
  validatorsConsentCommand,
  suspendCommand,
  posterProposeCommand,
  posterSuspendCommand,
  checkpointListCommand,
  checkpointRollbackCommand,
  checkpointRevertCommand,
  checkpointExportCommand,
  checkpointImportCommand,
  machineCommand,
  marketOffersCommand,
  marketPricesCommand,
  marketOfferCommand,
  marketLendCommand,
  marketPlanCommand,
  marketReplanCommand,
  marketDoctorCommand,
  marketRentCommand,
  marketListCommand,
  marketLogsCommand,
  marketSshCommand,
  marketTerminateCommand,
  marketReconcileCommand,
  marketAdoptCommand,
  marketGcCommand,
  marketCostCommand,
  marketHistoryCommand,
  marketWatchdogCommand,
  marketFakeCommand,
  marketServeCommand,
  marketKeysCommand,
  cleanCommand,
  doctorCommand,
];

/** Daemons: they log, and have no result that --json could print. */
export const withoutDocument: ReadonlySet<string> = new Set(["worker", "coordinator", "validator", "machine"]);

/** What the commands of two words have in common, by the first. */
export const groupSummaries: Readonly<Record<string, string>> = {
  run: "runs: making one from a file, and proposing that one pauses, goes on or ends",
  budget: "what the holders let others spend from the treasury",
  treasury: "what the holders have together, and paying somebody of it",
  terms: "which licences and terms a model's shares name, and proposing others",
  capital: "shares that are sold for a model's capital token, an epoch at a time",
  code: "what authors of code are paid: grants, by maintainers or the holders",
  disputes: "roots that somebody disputes, and the holders' votes on them",
  stake: "coins that workers and validators put up, and lose where they are proved to have lied",
  emission: "how many shares a model mints, and for what",
  poster: "who posts a run's heads: proposing another, and stopping one",
  maintainers: "who approves what is paid for code, and proposing others",
  validators: "who attests what a run pays, and proposing others",
  builds: "which machines can train a run bit for bit, and proposing another kind of device",
  proposals: "what holders decide: proposals, carrying out what they accepted, and how votes go",
  revenue: "what a model is paid, and what of it its holders get",
  rewards: "what wallets earned, claiming it, and bringing roots on that pay it",
  market: "GPUs of clouds and hosts: what they offer, plans, renting, and accounts there",
  checkpoint: "checkpoints: which there are, and as files",
};

/** What stands under `cotrain --help`: the way through, from the first start to what one does with the result. */
export const rootExamples: Command["examples"] = [
  ["npm start", "train on this machine for three minutes: chain, coordinator, validators, workers, all of it"],
  ["npx cotrain status", "where the run stands, which contracts, which transactions"],
  ['npx cotrain generate --prompt "The people of the town"', "let the model write"],
  ["npx cotrain rewards list", "who earned what"],
  ["npx cotrain verify", "recompute the history of the run from the contracts alone"],
  ["npx cotrain worker --coordinator https://train.example.org", "train for somebody else's run"],
];
