/** What all.ts has of proposals, votes and their settings. */
import {
  cancel,
  castVote,
  execute,
  governorSetting,
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
  setLateQuorumVoteExtension,
  setProposalThreshold,
  setQuorum,
  setTimelockDelay,
  setVotingDelay,
  setVotingPeriod,
} from "./voteSettings.ts";

export const governanceReads = {
  governorSetting,
  governorSettings,
  hasVoted,
  proposalDeadline,
  proposalEta,
  proposalExpiry,
  proposalProposer,
  proposalSnapshot,
  proposalState,
  proposalVotes,
  quorumAt,
};

export const governanceWrites = {
  cancel,
  castVote,
  execute,
  propose,
  queue,
  setLateQuorumVoteExtension,
  setProposalThreshold,
  setQuorum,
  setTimelockDelay,
  setVotingDelay,
  setVotingPeriod,
};
