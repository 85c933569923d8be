/**
 * A session that shows a dispute: a quorum of the validators' keys of this machine signs a root that pays a thief, who posts it before
 * the true one. All that follows is what happens in any run: a watcher recomputes the root and disputes it, the holders vote, the
 * signers lose stake, and the coordinator posts the true root with the bond that is due. Each step is taken once, in this order.
 */
import {
  bondCreditOf,
  bondsWithdrawn,
  collectFees,
  depositStake,
  disputeOf,
  disputeOutcome,
  disputeSettled,
  getAllLogs,
  proposalState,
  proposalVotes,
  rootActivated,
  rootBacked,
  rootDisputed,
  slashVoided,
  stakeSlashed,
  votesOf,
  withdrawBonds,
} from "@cotrain/sdk/actions";
import { asAddress, nameOfCode, rewardKind } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { countOf, formatShares, RetryableError, UserError } from "../base/index.ts";
import { type ChainConnection, walletOn } from "../chain/index.ts";
import { contractAt, stakesAt, type StakesPlace, stakeStanding } from "../run/index.ts";
import type { Logger } from "../service/index.ts";
import { createForger, type Forger, quorumOf, type RootsPlace } from "./falseRoot.ts";
import { type LocalModel, voteOf } from "./owners.ts";
import type { DisputePlay, Players, Returned, Slashed, Staked } from "./players.ts";
import { openWatcher, type WatcherPlace } from "./watcher.ts";

/** What each signer of the false root has at stake at least, wei: a tenth of a coin. */
export const SIGNERS_STAKE = 10n ** 17n;
/** Between two looks at the chain, ms. */
const LOOK_MS = 100;
const role = "validator";

export interface DisputePlace extends RootsPlace, WatcherPlace, StakesPlace {
  readonly connection: ChainConnection;
  readonly players: Players;
}

export interface DisputeFollower {
  /** Makes ready for it, once. */
  readonly begin: () => void;
  /** Nothing is trained any more: the root that is due next is the last, and the machine has time for what takes seconds. */
  readonly rest: () => void;
  /** What a session waits for at its end. */
  readonly waitsFor: () => readonly string[];
  readonly seen: () => DisputePlay;
  /** Why it is not played to its end, in a few words; undefined while it may be. */
  readonly why: () => string | undefined;
}

/** What the steps share. */
interface Playing extends DisputePlace {
  readonly model: LocalModel;
  readonly say: (line: string) => void;
  readonly isResting: () => boolean;
  /** Opened when it is needed first. */
  readonly watch: () => Promise<Watcher>;
  /** Made once: it knows what it sent. */
  readonly forger: () => Promise<Forger>;
  /** What was told of roots of revenue. */
  readonly told: Set<string>;
}

type Watcher = Awaited<ReturnType<typeof openWatcher>>;

/** A step: what it adds to what is known, by what is known. */
type Step = (playing: Playing, play: DisputePlay) => Promise<DisputePlay>;

const coins = (wei: bigint): string => `${formatEther(wei)} coins`;

/** Looks until something is there. */
async function until<T>({ model: { clock, signal } }: Playing, look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const found = await look();
    if (found !== undefined) return found;
    await clock.sleep(LOOK_MS, signal);
  }
}

/** What a look at roots of revenue came to, in a line; undefined where there is nothing to tell. */
export function revenueText(found: Awaited<ReturnType<Watcher["lookAtRevenue"]>>): string | undefined {
  if (!("index" in found) || found.index === undefined) return undefined;
  const root = `root ${found.index} of revenue`;
  if (found.state === "holds") return `the watcher recomputed ${root}: it shares out what arrived`;
  if (found.state === "disputed") return `the watcher recomputed ${root}, found it false, and disputed it`;
  return undefined;
}

/** Watches roots of revenue, too, and tells each thing once. It takes its turn where no root of work is to be found in seconds. */
async function watchRevenue({ watch, say, told }: Playing): Promise<void> {
  const text = revenueText(await (await watch()).lookAtRevenue());
  if (text === undefined || told.has(text)) return;
  told.add(text);
  say(text);
}

/** What a step before has found, or the chain tells. @throws RetryableError `CHAIN_MOVED` */
function known<T>(found: T | undefined): T {
  if (found === undefined) throw new RetryableError("CHAIN_MOVED", "The chain does not tell what it told before.");
  return found;
}

/** Whoever signs is to have something to lose. */
const stake: Step = async (playing) => {
  const { connection, modelId, players } = playing;
  const book = await stakesAt(playing, role);
  const { stakes } = book;
  const staked: Staked[] = [];
  for (const { name, account: key } of await quorumOf(playing, players.validators)) {
    const account = asAddress(key.address);
    const { active } = await stakeStanding(playing, book, role, account);
    const amount = active < SIGNERS_STAKE ? SIGNERS_STAKE - active : 0n;
    const deposit = { stakes, modelId, role, staker: account, amount } as const;
    const sent = amount > 0n ? await depositStake.sync(walletOn(connection, key), deposit) : undefined;
    staked.push({ name, account, amount: active + amount, transaction: sent?.receipt.transactionHash ?? null });
  }
  return { staked };
};

/** A false root that nobody can vote against would be refused all the same, and its signers would lose nothing. @throws UserError `DEMO_NO_VOTES` */
async function requireVotes(playing: Playing): Promise<undefined> {
  const shares = await contractAt(playing, "shares");
  for (const { client } of playing.model.owners)
    if ((await votesOf(client, { shares, account: client.account.address })) > 0n) return undefined;
  throw new UserError("DEMO_NO_VOTES", "nobody had claimed shares to vote with in time");
}

const forge: Step = async (playing) => {
  const { say } = playing;
  // Opened before there is anything to find: a window takes seconds.
  await (await playing.watch()).look();
  const forger = await playing.forger();
  const falseRoot = await until(playing, async () => {
    if (playing.isResting()) return (await requireVotes(playing)) ?? forger.post();
    await forger.readAhead();
    await watchRevenue(playing);
    return undefined;
  });
  const { amount, attestation, signatures } = falseRoot;
  say(
    `played: ${signatures.map(({ name }) => name).join(" and ")} signed a false root for epoch ${attestation.toEpoch}, which pays a thief ${formatShares(amount)} shares of others`,
  );
  return { falseRoot };
};

const dispute: Step = async (playing, play) => {
  const { connection, addresses, modelId, reader, say } = playing;
  const { digest, block } = known(play.falseRoot);
  const watcher = await playing.watch();
  const { index } = known(play.falseRoot).attestation;
  // The window takes seconds: nothing is asked but what the watcher has to know.
  const reason = await until(playing, async () => {
    const found = await watcher.look();
    if (found.state === "disputed") return found.reason;
    // By somebody else, or by a look whose answer was lost.
    if (found.state === "open") return "";
    if (found.state === "idle" && BigInt((await reader.activeRoot(modelId))?.index ?? 0) >= index)
      throw new UserError("DEMO_LATE", "nobody disputed the false root within its window, and it pays now");
    return undefined;
  });
  const { logs } = await connection.call((client) =>
    getAllLogs(client, rootDisputed({ addresses, modelId }), { from: block }),
  );
  const { args, transactionHash: transaction } = known(logs.find((log) => log.args.digest === digest));
  const { bond, evidence, proposalId } = args;
  say(`the watcher recomputed the root, found it false, and disputed it with a bond of ${coins(bond)}`);
  return { dispute: { disputer: asAddress(args.disputer), bond, reason, evidence, proposalId, transaction } };
};

const vote: Step = async (playing, play) => {
  const { model, say } = playing;
  const { proposalId } = known(play.dispute);
  const [governor, shares] = await Promise.all([contractAt(playing, "governor"), contractAt(playing, "shares")]);
  const [first] = model.owners;
  const { client } = known(first);
  const asked = { governor, proposalId };
  const state = await until(playing, async () => {
    const now = await proposalState(client, asked);
    return now === "pending" ? undefined : now;
  });
  let voters = 0;
  for (const owner of state === "active" ? model.owners : []) {
    if ((await votesOf(owner.client, { shares, account: owner.client.account.address })) === 0n) continue;
    await voteOf(asked, owner, "against");
    voters += 1;
  }
  const votes = await proposalVotes(client, asked);
  say(`${countOf(voters, "holder")} voted against the false root: ${formatShares(votes.against)} shares`);
  return { vote: { voters, for: votes.for, against: votes.against } };
};

/** The watcher settles it, or the coordinator, whoever is first. */
const settle: Step = async (playing, play) => {
  const { connection, addresses, modelId, say } = playing;
  const { digest, block } = known(play.falseRoot);
  const watcher = await playing.watch();
  await until(playing, async () => {
    const found = await connection.call((client) => disputeOf(client, { addresses, digest }));
    if (found?.endedAt) return true;
    await watcher.look();
    await watchRevenue(playing);
    return undefined;
  });
  const { logs } = await connection.call((client) =>
    getAllLogs(client, disputeSettled({ addresses, modelId }), { from: block }),
  );
  const { args, transactionHash: transaction } = known(logs.find((log) => log.args.digest === digest));
  const outcome = nameOfCode(disputeOutcome, args.outcome) ?? "open";
  if (outcome === "stands") throw new UserError("DEMO_STANDS", "the holders let the false root stand");
  say(
    outcome === "void" ? "the false root is void by the holders' vote" : "the false root is refused: no quorum voted",
  );
  return { end: { outcome, won: args.won, burned: args.burned, transaction } };
};

const slash: Step = async (playing, play) => {
  const { connection, modelId, players, say } = playing;
  const { attestation, signatures, block } = known(play.falseRoot);
  // What was not decided proves nobody wrong.
  if (known(play.end).outcome !== "void") return { slashed: [], fees: null };
  const { stakes } = await stakesAt(playing, role);
  // From here on the watcher's wallet sends without its journal.
  await (await playing.watch()).close();
  const client = walletOn(connection, players.watcher);
  const { logs } = await connection.call((chain) =>
    getAllLogs(chain, stakeSlashed({ stakes, modelId }), { from: block }),
  );
  const slashed: Slashed[] = [];
  for (const { name, account: key, signature } of signatures) {
    const account = asAddress(key.address);
    // Anybody may, once.
    const before = logs.find(({ args }) => asAddress(args.account) === account);
    if (before) {
      const { amount, fee } = before.args;
      slashed.push({ name, account, amount, fee, transaction: before.transactionHash });
      continue;
    }
    const { event, receipt } = await slashVoided.sync(client, { stakes, attestation, signature });
    slashed.push({ name, account, amount: event.amount, fee: event.fee, transaction: receipt.transactionHash });
  }
  const lost = slashed.reduce((sum, { amount }) => sum + amount, 0n);
  say(`${slashed.map(({ name }) => name).join(" and ")} lost ${coins(lost)} of their stake`);
  const { event, receipt } = await collectFees.sync(client, { stakes, reporter: asAddress(players.watcher.address) });
  return { slashed, fees: event ? { amount: event.amount, transaction: receipt.transactionHash } : null };
};

const replace: Step = async (playing, play) => {
  const { connection, addresses, modelId, reader, say } = playing;
  const { block, attestation } = known(play.falseRoot);
  const index = Number(attestation.index);
  const since = { from: block };
  await until(playing, async () => ((await reader.activeRoot(modelId))?.index ?? 0) >= index || undefined);
  const kind = rewardKind.compute;
  const [active, backed] = await Promise.all([
    connection.call((client) => getAllLogs(client, rootActivated({ addresses, modelId, kind }), since)),
    connection.call((client) => getAllLogs(client, rootBacked({ addresses, modelId, kind }), since)),
  ]);
  const activation = known(active.logs.find((log) => log.args.index === attestation.index));
  const backing = known(backed.logs.findLast((log) => log.blockNumber <= activation.blockNumber));
  const { total } = activation.args;
  const { backer, amount: bond } = backing.args;
  say(`the true root is active: it pays ${formatShares(total)} shares to whom they are due`);
  return {
    trueRoot: {
      index,
      total,
      poster: asAddress(backer),
      bond,
      transaction: backing.transactionHash,
      activated: activation.transactionHash,
    },
  };
};

/** Anybody may fetch bonds for whom they are due. */
const refund: Step = async (playing, play) => {
  const { connection, addresses, players } = playing;
  const client = walletOn(connection, players.watcher);
  const returned: Returned[] = [];
  for (const account of new Set([known(play.dispute).disputer, known(play.trueRoot).poster])) {
    if ((await bondCreditOf(client, { addresses, account })) > 0n)
      await withdrawBonds.sync(client, { addresses, beneficiary: account });
    const { logs } = await connection.call((chain) =>
      getAllLogs(chain, bondsWithdrawn({ addresses, account }), { from: known(play.falseRoot).block }),
    );
    for (const { args, transactionHash: transaction } of logs)
      returned.push({ account, amount: args.amount, transaction });
  }
  return { returned };
};

/** By what each adds last: what is there is done. */
const steps: readonly (readonly [keyof DisputePlay, Step])[] = [
  ["staked", stake],
  ["falseRoot", forge],
  ["dispute", dispute],
  ["vote", vote],
  ["end", settle],
  ["fees", slash],
  ["trueRoot", replace],
  ["returned", refund],
];

/** Between two tries of a step that failed, ms. */
const AGAIN_MS = 1_000;

/** @param say told of each step, in one line */
export function followDispute(
  place: DisputePlace,
  model: LocalModel,
  logger: Logger,
  say: (line: string) => void,
): DisputeFollower {
  let play: DisputePlay = {};
  let why: string | undefined;
  let begun = false;
  let resting = false;
  let watcher: Promise<Watcher> | undefined;
  const watch = (): Promise<Watcher> => {
    watcher ??= openWatcher(place, place.players.watcher, model);
    watcher.catch(() => (watcher = undefined));
    return watcher;
  };
  let forger: Forger | undefined;
  const forgerOnce = async (): Promise<Forger> => {
    const { connection, players } = place;
    const quorum = await quorumOf(place, players.validators);
    return (forger ??= createForger(place, walletOn(connection, players.thief), quorum));
  };
  const playing: Playing = {
    ...place,
    model,
    say,
    isResting: () => resting,
    watch,
    forger: forgerOnce,
    told: new Set(),
  };

  /** @returns whether it goes on */
  async function take([name, step]: (typeof steps)[number]): Promise<boolean> {
    while (play[name] === undefined) {
      try {
        play = { ...play, ...(await step(playing, play)) };
      } catch (error) {
        if (model.signal.aborted) return false;
        if (error instanceof UserError) {
          why = error.message;
          say(`the dispute ends here: ${why}`);
          return false;
        }
        logger.warn({ err: error, step: name }, "a step of the dispute failed and is tried again");
        await model.clock.sleep(AGAIN_MS, model.signal).catch(() => undefined);
      }
    }
    return true;
  }

  async function all(): Promise<void> {
    for (const step of steps) if (!(await take(step))) break;
    await (await watcher)?.close();
  }

  const isOver = (): boolean => why !== undefined || play.returned !== undefined;
  return {
    begin: () => {
      if (begun) return;
      begun = true;
      void all().catch((error: unknown) => logger.warn({ err: error }, "the watcher could not be closed"));
    },
    rest: () => void (resting = true),
    waitsFor: () => (isOver() ? [] : ["the dispute about a false root"]),
    seen: () => play,
    why: () => why,
  };
}
