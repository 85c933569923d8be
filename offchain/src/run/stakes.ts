/**
 * What workers and validators of a model have put up, as the chain tells it: what admits them, what is leaving, and until when that
 * waits. Amounts are wei of the chain's coin, times chain seconds.
 */
import {
  currentParamsVersion,
  paramsOf,
  slashTermsOf,
  type SlashTerms,
  stakeLeavesAt,
  stakeOf,
  stakeWithdrawalDelay,
  validatorUntil,
} from "@cotrain/sdk/actions";
import { type Address, admissionCode, asAddress, type RunId, type StakeRole } from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import { type ContractsPlace, contractAt } from "./contracts.ts";
import { isNobody } from "./shares.ts";

/** Where stake is looked for. */
export interface StakesPlace extends ContractsPlace {
  readonly runId: RunId;
}

/** What a model asks of who stakes in it for a role. */
export interface StakeBook {
  /** Address of StakeManager. */
  readonly stakes: Address;
  /** How long what is leaving waits by the settings in force, s. */
  readonly delay: number;
  /** What offences cost, and the number of these terms. */
  readonly terms: SlashTerms & { readonly version: number };
  /** What the run asks of its workers; undefined where it admits everybody. */
  readonly minStake: bigint | undefined;
  /** Time of the newest block. */
  readonly now: number;
}

/** @throws UserError `STAKE_NONE` where the deployment holds no stake */
export async function stakesAt(place: StakesPlace, role: StakeRole): Promise<StakeBook> {
  const { connection, addresses, modelId, runId } = place;
  const stakes = await contractAt(place, "stakeManager");
  if (isNobody(stakes))
    throw new UserError("STAKE_NONE", "The contracts of this run hold no stake: their registry names no StakeManager.");
  const [delay, terms, params, block] = await connection.call((client) =>
    Promise.all([
      stakeWithdrawalDelay(client, { stakes, modelId, role }),
      slashTermsOf(client, { stakes, modelId }),
      currentParamsVersion(client, { addresses, runId }).then((version) =>
        paramsOf(client, { addresses, runId, version }),
      ),
      client.getBlock(),
    ]),
  );
  const minStake = params.admission === admissionCode.stake ? params.minStake : undefined;
  return { stakes, delay, terms, minStake, now: Number(block.timestamp) };
}

/** An account's stake for one role. */
export interface StakeStanding {
  readonly account: Address;
  readonly role: StakeRole;
  /** What admits it. */
  readonly active: bigint;
  /** What it asked for and has not fetched: it admits nobody, and is lost like the rest where the account is proved to have lied. */
  readonly leaving: bigint;
  /** Rulings of the validators against it that are open. */
  readonly rulings: number;
  /**
   * From when on it may be fetched, a validator's if nothing is disputed then; undefined where nothing is leaving, Infinity where the
   * newest set of validators has the account.
   */
  readonly leavesAt: number | undefined;
  /** Until when it is a validator, Infinity for one of the newest set; undefined for one that never was. */
  readonly validatorUntil: number | undefined;
  /** Who alone is paid, for ever; undefined where the account has named nobody. */
  readonly payee: Address | undefined;
}

export async function stakeStanding(
  { connection, addresses, modelId }: StakesPlace,
  { stakes }: StakeBook,
  role: StakeRole,
  account: Address,
): Promise<StakeStanding> {
  const which = { stakes, modelId, role, staker: account };
  const [stake, leavesAt, until] = await connection.call((client) =>
    Promise.all([
      stakeOf(client, which),
      stakeLeavesAt(client, which),
      validatorUntil(client, { addresses, modelId, account }),
    ]),
  );
  const { active, leaving, rulings } = stake;
  const payee = asAddress(stake.payee);
  return {
    account,
    role,
    active,
    leaving,
    rulings,
    leavesAt,
    validatorUntil: until,
    payee: isNobody(payee) ? undefined : payee,
  };
}
