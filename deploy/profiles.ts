/**
 * Settings of a model by profile: `local` in seconds, for development chains alone; `public` in days, for all others. The
 * chains and the limits are also what ModelRegistry demands: after a change run `npm run build:solidity`.
 */
import { CotrainError } from "@cotrain/sdk/errors";

/** The chain that this project starts itself; others that claim its id are taken for one. */
export const LOCAL_CHAIN_ID = 31_337;

/** Chains that nobody's money is on: Hardhat's and geth's. */
export const developmentChainIds: readonly [number, ...number[]] = [LOCAL_CHAIN_ID, 1_337];

export type ProfileName = "local" | "public";

/** How a model sells shares; the Solidity struct CapitalConfig. Amounts in the smallest units of the token. */
export interface CapitalSettings {
  readonly token: `0x${string}`;
  /** What a whole share costs at the least, for ever, and at first. */
  readonly priceFloor: bigint;
  readonly price: bigint;
  /** What an epoch must bring in, else it is paid back. */
  readonly minimum: bigint;
}

/** Which token a model is paid in is its organiser's to say: a profile sells nothing. */
const noSale: CapitalSettings = {
  token: "0x0000000000000000000000000000000000000000",
  priceFloor: 0n,
  price: 0n,
  minimum: 0n,
};

/** What a model's founders are paid; the Solidity struct FoundersConfig. Share wei, and seconds after the model's creation. */
export interface FoundersSettings {
  readonly list: readonly { readonly account: `0x${string}`; readonly amount: bigint }[];
  readonly cliff: number;
  readonly duration: number;
}

/**
 * Nothing, unless who creates the model asks for it: founders' shares count in every quorum from the first day and vote only as they
 * are paid, so that a young model's workers would be the less able to decide anything.
 */
const noFounders: FoundersSettings = { list: [], cliff: 0, duration: 0 };

/** How the holders of a model decide; the Solidity struct of the same name. Times in seconds, shares in wei. */
interface GovernorConfig {
  readonly votingDelay: number;
  readonly votingPeriod: number;
  readonly lateQuorumExtension: number;
  readonly timelockDelay: number;
  readonly proposalThreshold: bigint;
  readonly quorumBps: number;
  readonly quorumFloor: bigint;
}

/** What a profile says of a ModelConfig; the organiser adds names, validators and threshold. */
interface ModelSettings {
  readonly epochLength: number;
  readonly yearlyCap: bigint;
  readonly epochBudget: bigint;
  /** Compute, code, capital, treasury. */
  readonly bps: readonly [number, number, number, number];
  readonly window: number;
  readonly postingDelay: number;
  readonly governor: GovernorConfig;
  readonly capital: CapitalSettings;
  readonly founders: FoundersSettings;
  /** What a dispute costs at first, wei of the chain's coin. */
  readonly disputeBond: bigint;
  /** When the organiser is the court of disputes no longer: share wei that workers have claimed, and epochs that are over. */
  readonly bootstrapShares: bigint;
  readonly bootstrapEpochs: number;
  /** After how many epochs it is no longer, whatever was claimed. */
  readonly bootstrapMaxEpochs: number;
}

/** Minima that a ModelRegistry holds every model to, for ever; the Solidity struct of the same name. */
interface Limits {
  readonly epochLength: number;
  readonly postingDelay: number;
  readonly window: number;
  readonly votingDelay: number;
  readonly votingPeriod: number;
  readonly lateQuorumExtension: number;
  readonly timelockDelay: number;
  readonly quorumBps: number;
}

export interface Profile {
  readonly name: ProfileName;
  readonly limits: Limits;
  readonly model: ModelSettings;
}

const hour = 3_600;
const day = 24 * hour;
const year = 365 * day;
const share = 10n ** 18n;

/** Epochs of a year, as the contracts count them. */
const perYear = (epochLength: number): number => Math.ceil(year / epochLength);

/** The least cap that an epoch's budget fits under. */
function yearlyCapOf(epochBudget: bigint, epochLength: number): bigint {
  return epochBudget * BigInt(perYear(epochLength));
}

const local: Profile = {
  name: "local",
  limits: {
    epochLength: 1,
    postingDelay: 1,
    window: 1,
    votingDelay: 1,
    votingPeriod: 1,
    lateQuorumExtension: 1,
    timelockDelay: 1,
    quorumBps: 1,
  },
  model: {
    epochLength: 16,
    yearlyCap: yearlyCapOf(1_000n * share, 16),
    epochBudget: 1_000n * share,
    bps: [7_000, 1_000, 1_500, 500],
    window: 4,
    postingDelay: 12,
    governor: {
      votingDelay: 1,
      votingPeriod: 6,
      lateQuorumExtension: 2,
      timelockDelay: 3,
      proposalThreshold: share,
      quorumBps: 1_000,
      quorumFloor: share,
    },
    capital: noSale,
    founders: noFounders,
    disputeBond: share / 100n,
    bootstrapShares: 100n * share,
    bootstrapEpochs: 1,
    bootstrapMaxEpochs: perYear(16),
  },
};

const open: Profile = {
  name: "public",
  limits: {
    epochLength: day,
    postingDelay: hour,
    window: 2 * day,
    votingDelay: day,
    votingPeriod: 3 * day,
    lateQuorumExtension: day,
    timelockDelay: 2 * day,
    quorumBps: 400,
  },
  model: {
    epochLength: day,
    yearlyCap: yearlyCapOf(10_000n * share, day),
    epochBudget: 10_000n * share,
    bps: [7_000, 1_000, 1_500, 500],
    window: 2 * day,
    postingDelay: day / 2,
    governor: {
      votingDelay: day,
      votingPeriod: 5 * day,
      lateQuorumExtension: day,
      timelockDelay: 2 * day,
      proposalThreshold: 1_000n * share,
      quorumBps: 1_000,
      quorumFloor: 50_000n * share,
    },
    capital: noSale,
    founders: noFounders,
    disputeBond: share / 10n,
    bootstrapShares: 100_000n * share,
    bootstrapEpochs: 90,
    bootstrapMaxEpochs: perYear(day),
  },
};

/** A profile by name, for a chain. @throws CotrainError LOCAL_PROFILE_REFUSED */
export function profileFor(name: ProfileName, chainId: number): Profile {
  if (name === "local" && !developmentChainIds.includes(chainId))
    throw new CotrainError(
      "LOCAL_PROFILE_REFUSED",
      `The local profile decides within seconds and is refused on chain ${chainId}: use the public profile, or a development chain (${developmentChainIds.join(" or ")}).`,
      { details: { chainId } },
    );
  return name === "local" ? local : open;
}
