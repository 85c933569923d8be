/** Stake in a session on a development chain: one worker puts up coins, once for each model, as any run may ask of all its workers. */
import { depositStake, getAllLogs, stakeDeposited } from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";
import { getBalance } from "viem/actions";

import { UserError } from "../base/index.ts";
import { stakesAt, type StakesPlace } from "../run/index.ts";
import type { Owner } from "./owners.ts";

/** What the worker puts up, wei: a thousandth of a coin, which its claims and votes leave it on any development chain. */
export const STAKED = 10n ** 15n;
/** So many times of it the worker must have: its transactions cost too. */
const LEFT = 2n;
const role = "worker";

/** Where a worker stakes. */
export interface StakingPlace extends StakesPlace {
  /** Block at or before the contract's first. */
  readonly fromBlock: number;
}

/** The transaction of a worker's first deposit; undefined before. */
export async function stakedBy(
  { connection, modelId, fromBlock }: StakingPlace,
  stakes: Address,
  account: Address,
): Promise<Hex | undefined> {
  const about = stakeDeposited({ stakes, modelId, role, account });
  const { logs } = await connection.call((client) => getAllLogs(client, about, { from: BigInt(fromBlock) }));
  return logs[0]?.transactionHash;
}

/** What a session does of stake. */
export interface StakeFollower {
  /** Has the worker stake, if it never did. @throws what the chain does: the next time tries again */
  readonly stake: () => Promise<void>;
  /** Why nothing is staked, in a few words; undefined where something is, or will be. */
  readonly why: () => string | undefined;
}

/** @param say told of what happened, in one line */
export function followStake(place: StakingPlace, { name, client }: Owner, say: (line: string) => void): StakeFollower {
  const { modelId } = place;
  const staker = asAddress(client.account.address);
  let over = false;
  let why: string | undefined;

  async function step(): Promise<void> {
    const { stakes } = await stakesAt(place, role);
    if (await stakedBy(place, stakes, staker)) return;
    if ((await getBalance(client, { address: staker })) < LEFT * STAKED) {
      why = `${name} has too few coins to put some at stake`;
      return;
    }
    await depositStake.sync(client, { stakes, modelId, role, staker, amount: STAKED });
    say(`${name} put ${formatEther(STAKED)} coins at stake`);
  }

  return {
    stake: async () => {
      if (over) return;
      try {
        await step();
      } catch (error) {
        if (!(error instanceof UserError) || error.code !== "STAKE_NONE") throw error;
        why = error.message;
      }
      over = true;
    },
    why: () => why,
  };
}
