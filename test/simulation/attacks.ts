/**
 * What somebody may try in order to take more of a model than honest play brings, or to take it from others. Each plays on an
 * economy of its own and answers what came of it.
 */
import {
  authorisable,
  balanceOf,
  bootstrapTerms,
  budgetOf,
  type Call,
  claimGrant,
  disputeOutcome,
  drawTreasury,
  quorumAt,
  ruleDispute,
  setBudget,
  slashAttestations,
  slashVoided,
  totalSupply,
} from "@cotrain/sdk/actions";
import { BootstrapVoteRefusedError, GovernorUnexpectedProposalStateError } from "@cotrain/sdk/errors";
import { domainFor, grantIdOf, rewardKind, shareOut, structHash, typedDataOf } from "@cotrain/sdk/protocol";
import { type Address, parseEther } from "viem";

import { accountNamed } from "./chain.ts";
import {
  activate,
  type Actor,
  advanceToEpoch,
  anybody,
  type Ballot,
  bloc,
  bondNow,
  buy,
  buyers,
  COMPUTE,
  DAY,
  decide,
  delegates,
  dispute,
  dollar,
  due,
  earned,
  type Economy,
  endBootstrapOf,
  epochOf,
  falseLeaves,
  grantCall,
  grantOf,
  type Holdings,
  holdings,
  openDispute,
  organiser,
  payday,
  post,
  type Posted,
  settle,
  share,
  THRESHOLD,
  transferCall,
  trueLeaves,
  validators,
  VOTE,
  workers,
} from "./economy.ts";

/** What came of an attack. */
export interface Finding {
  /** Of the attackers, beyond honest play. */
  readonly gain: Holdings;
  /** Of the workers: what they earned and did not get by its end, in share wei. */
  readonly lost: bigint;
  /** Coins of those who defend the model, lost or won, in wei. */
  readonly defenders: bigint;
  /** Days that pay came late by. */
  readonly late: number;
  /** Votes that were rented, in wei. */
  readonly rented: bigint;
  /** What else is worth a number, by name. */
  readonly more: Readonly<Record<string, number>>;
}

const thief = accountNamed("thief");
const watcher = accountNamed("watcher");
const backer = accountNamed("backer");
const griefer = accountNamed("griefer");
const colluders = [thief, ...validators.slice(0, THRESHOLD)];
const defenders = [watcher, backer, ...validators.slice(THRESHOLD)];

/** What divisions leave, at the most. */
export const DUST = 1_000n;
/** How long whoever can goes on. */
const LONG = 60;

const none = { lost: 0n, defenders: 0n, late: 0, rented: 0n, more: {} } as const;
const lessThan = (a: Holdings, b: Holdings): Holdings => ({
  shares: a.shares - b.shares,
  coins: a.coins - b.coins,
  dollars: a.dollars - b.dollars,
});

/** Measures attackers, workers and defenders before and after; answers what the attack says of itself besides. */
async function measured(
  economy: Economy,
  { attackers, honest = defenders }: { readonly attackers: readonly Actor[]; readonly honest?: readonly Actor[] },
  attack: () => Promise<Partial<Pick<Finding, "rented" | "more" | "late">>>,
): Promise<Finding> {
  const of = () => Promise.all([attackers, workers, honest].map((group) => holdings(economy, group)));
  const paid = economy.active.toEpoch;
  const [mine, theirs, guards] = (await of()) as [Holdings, Holdings, Holdings];
  const said = await attack();
  const [after, got, left] = (await of()) as [Holdings, Holdings, Holdings];
  const owed = earned(economy, paid + 1, economy.active.toEpoch).reduce((sum, { amount }) => sum + amount, 0n);
  return {
    ...none,
    gain: lessThan(after, mine),
    lost: owed - (got.shares - theirs.shares),
    defenders: left.coins - guards.coins,
    ...said,
  };
}

/** Days from a time on to now, beyond the window that every root has. */
const lateBy = ({ chain }: Economy, since: number): number => Math.round(((chain.now() - since) / DAY - 2) * 10) / 10;

/** A payday of what is owed by now, after whatever has happened. */
async function makeGood(economy: Economy): Promise<void> {
  await activate(economy, await post(economy, trueLeaves(economy), backer));
}

/** So many votes are rented to the thief, and so many others vote against what it wants. */
async function divided(economy: Economy, rentedBps: number, honestBps: number) {
  const { votes } = await bloc(economy, "lessor", rentedBps, thief);
  const honest = honestBps === 0 ? [] : [(await bloc(economy, "voter", honestBps)).voter];
  return { rented: votes, honest };
}

/** Whoever signed a root that a vote voided is punished. */
async function slash({ chain }: Economy, { attestation, signatures }: Posted, by: Actor): Promise<void> {
  for (const signature of signatures)
    await chain.send(by, slashVoided.call({ stakes: chain.stakes, attestation, signature }));
}

/** A quorum of validators pays itself, and holders with `bps` of the supply vote against it. */
export const caught = (bps: number) => async (economy: Economy) => {
  const { voter } = await bloc(economy, "voter", bps);
  return measured(economy, { attackers: colluders }, async () => {
    await advanceToEpoch(economy, epochOf(economy) + 1);
    const since = economy.chain.now();
    const posted = await post(economy, falseLeaves(economy, thief.address));
    const outcome = await dispute(economy, watcher, posted, [{ voters: [voter], support: "against" }]);
    if (outcome === disputeOutcome.void) await slash(economy, posted, anybody);
    await makeGood(economy);
    return { late: lateBy(economy, since), more: { outcome } };
  });
};

/** A quorum of validators pays itself again and again; nobody votes, and who disputes has so many coins and no more. */
export const tired = (coins: string) => async (economy: Economy) =>
  measured(economy, { attackers: colluders }, async () => {
    await advanceToEpoch(economy, epochOf(economy) + 1);
    const since = economy.chain.now();
    const begun = (await holdings(economy, [watcher])).coins;
    let disputes = 0;
    for (;;) {
      const posted = await post(economy, falseLeaves(economy, thief.address), thief);
      const purse = parseEther(coins) - (begun - (await holdings(economy, [watcher])).coins);
      if ((await bondNow(economy)) > purse) {
        await activate(economy, posted);
        return { late: lateBy(economy, since), more: { disputes } };
      }
      await dispute(economy, watcher, posted, []);
      disputes++;
    }
  });

/** A quorum of validators has rented votes for its root, and others vote against it. */
export const rentedFor = (rentedBps: number, honestBps: number) => async (economy: Economy) => {
  const { rented, honest } = await divided(economy, rentedBps, honestBps);
  return measured(economy, { attackers: colluders }, async () => {
    await advanceToEpoch(economy, epochOf(economy) + 1);
    const since = economy.chain.now();
    const posted = await post(economy, falseLeaves(economy, thief.address));
    const outcome = await dispute(economy, watcher, posted, [
      { voters: [thief], support: "for" },
      { voters: honest, support: "against" },
    ]);
    if (outcome === disputeOutcome.stands) await activate(economy, posted);
    else {
      await slash(economy, posted, anybody);
      await makeGood(economy);
    }
    return { late: lateBy(economy, since), rented, more: { outcome } };
  });
};

/** Somebody disputes every true root for two months; holders with `bps` of the supply vote for them. */
export const griefing = (bps: number) => async (economy: Economy) => {
  const voters = bps === 0 ? [] : [(await bloc(economy, "voter", bps)).voter];
  return measured(economy, { attackers: [griefer] }, async () => {
    const begun = epochOf(economy);
    let [disputes, since, late] = [0, 0, 0];
    while (epochOf(economy) < begun + LONG) {
      await advanceToEpoch(economy, epochOf(economy) + 1);
      since ||= economy.chain.now();
      const posted = await post(economy, trueLeaves(economy), backer);
      // At the end of the window, which gains two days.
      await economy.chain.advanceTo(economy.chain.now() + 2 * DAY - 60);
      const outcome = await dispute(economy, griefer, posted, [{ voters, support: "for" }]);
      disputes++;
      if (outcome !== disputeOutcome.stands) continue;
      await activate(economy, posted);
      late = Math.max(late, lateBy(economy, since));
      since = 0;
    }
    if (since !== 0) {
      await makeGood(economy);
      late = lateBy(economy, since);
    }
    return { late, more: { disputes } };
  });
};

/** Holders with rented votes void true roots for what backings and fees bring, as long as somebody backs another. */
export async function voiding(economy: Economy): Promise<Finding> {
  const { rented } = await divided(economy, 1_100, 0);
  return measured(economy, { attackers: [griefer, thief] }, async () => {
    await advanceToEpoch(economy, epochOf(economy) + 1);
    const since = economy.chain.now();
    let disputes = 0;
    for (; disputes < 5; disputes++) {
      const posted = await post(economy, trueLeaves(economy), backer);
      await dispute(economy, griefer, posted, [{ voters: [thief], support: "against" }]);
      await slash(economy, posted, griefer);
    }
    await makeGood(economy);
    return { late: lateBy(economy, since), rented, more: { disputes } };
  });
}

/** A founder who has the validators' quorum pays itself from the first day on, and rules that it stands. */
export async function founderTakesAll(economy: Economy): Promise<Finding> {
  const attackers = [organiser, ...validators.slice(0, THRESHOLD)];
  const { chain, modelId, shares } = economy;
  const { maxEpochs, epochs } = await bootstrapTerms(chain.client, { bootstrap: chain.bootstrap, modelId });
  return measured(economy, { attackers }, async () => {
    let disputes = 0;
    await delegates(economy, [organiser]);
    while (epochOf(economy) <= epochs) {
      await advanceToEpoch(economy, epochOf(economy) + 1);
      const posted = await post(economy, falseLeaves(economy, organiser.address));
      if (disputes < 5) {
        await openDispute(economy, watcher, posted);
        disputes++;
        await chain.advanceTo(chain.now() + 2 * DAY);
        const digest = structHash("Attestation", posted.attestation);
        const { addresses } = chain;
        await chain.send(organiser, ruleDispute.call({ addresses, modelId, digest, stands: true }));
      }
      await activate(economy, posted);
    }
    await endBootstrapOf(economy);
    const held = await balanceOf(chain.client, { shares, account: organiser.address });
    const supply = await totalSupply(chain.client, { shares });
    return { more: { disputes, percentOfSupply: Number((held * 100n) / supply), maxEpochs } };
  });
}

/** A founder without the validators refuses every root for forty days, each at the last moment. */
export async function founderRefuses(economy: Economy): Promise<Finding> {
  const { chain, modelId } = economy;
  return measured(economy, { attackers: [organiser, griefer] }, async () => {
    await advanceToEpoch(economy, epochOf(economy) + 1);
    const [since, begun] = [chain.now(), epochOf(economy)];
    let disputes = 0;
    // Its court ends with the bootstrap, on day 91.
    for (; epochOf(economy) < begun + 40; disputes++) {
      const posted = await post(economy, trueLeaves(economy), backer);
      await chain.advanceTo(chain.now() + 2 * DAY - 60);
      await openDispute(economy, griefer, posted);
      await chain.advanceTo(chain.now() + 6 * DAY - 60);
      const digest = structHash("Attestation", posted.attestation);
      const { addresses } = chain;
      await chain.send(organiser, ruleDispute.call({ addresses, modelId, digest, stands: false }));
    }
    await makeGood(economy);
    return { late: lateBy(economy, since), more: { disputes } };
  });
}

/**
 * All of a kind that may be minted at once when a vote that begins now is carried out: what the contract names of the epochs that have
 * begun, and whole budgets of those that begin until then.
 */
async function leftFor(economy: Economy, kind: typeof rewardKind.code | typeof rewardKind.treasury): Promise<bigint> {
  const { chain, modelId } = economy;
  const { addresses, client } = chain;
  const epoch = BigInt(epochOf(economy));
  const executed = chain.now() + VOTE;
  // An hour later than it can be, since a budget that lapses before would have all of it refused.
  const asOf = executed + 3_600;
  const begun = await authorisable(client, { addresses, modelId, kind, from: 1n, to: epoch, asOf });
  const { perEpoch, ...split } = await budgetOf(client, { addresses, modelId, epoch: epoch + 1n });
  const bps = kind === rewardKind.code ? split.codeBps : split.treasuryBps;
  const toBegin = BigInt(epochOf(economy, executed)) - epoch;
  return begun + (toBegin * perEpoch * BigInt(bps)) / 10_000n;
}

/** What came of a proposal: it was carried out, its vote did not pass, or in bootstrap nobody may propose it. */
type Fate = "passed" | "outvoted" | "refused";

async function fateOf(
  economy: Economy,
  calls: readonly Pick<Call, "to" | "data">[],
  ballots: readonly Ballot[],
): Promise<Fate> {
  try {
    await decide(economy, thief, calls, ballots);
    return "passed";
  } catch (error) {
    if (error instanceof GovernorUnexpectedProposalStateError) return "outvoted";
    if (error instanceof BootstrapVoteRefusedError) return "refused";
    throw error;
  }
}

/** Votes for a grant of all code budgets to the renter of votes; it is fetched at once. */
async function grab(economy: Economy, others: readonly Pick<Call, "to" | "data">[], against: readonly Actor[]) {
  const { chain, modelId } = economy;
  const grant = grantOf(economy, thief.address, await leftFor(economy, rewardKind.code));
  const fate = await fateOf(
    economy,
    [grantCall(economy, grant), ...others],
    [
      { voters: [thief], support: "for" },
      { voters: against, support: "against" },
    ],
  );
  if (fate === "passed")
    await chain.send(thief, claimGrant.call({ grants: chain.grants, modelId, id: grantIdOf(grant) }));
  return fate;
}

/** Rented votes grant their renter all code budgets, draw the treasury's part and send it the treasury. @param honestBps who votes against it */
export const boughtVote = (rentedBps: number, honestBps: number) => async (economy: Economy) => {
  const { rented, honest } = await divided(economy, rentedBps, honestBps);
  const { chain, timelock, modelId, shares } = economy;
  const { addresses } = chain;
  return measured(economy, { attackers: [thief] }, async () => {
    const treasury = await balanceOf(chain.client, { shares: chain.token, account: timelock });
    const amount = await leftFor(economy, rewardKind.treasury);
    const taken = [
      drawTreasury.call({ addresses, modelId, amount }),
      transferCall(shares, thief.address, amount),
      transferCall(chain.token, thief.address, treasury),
    ];
    const fate = await grab(economy, taken, honest);
    return { rented, more: { passed: Number(fate === "passed"), refused: Number(fate === "refused") } };
  });
};

/** Votes that were rented once make all emission one for code, and their renter takes it for two months. */
export async function takeover(economy: Economy): Promise<Finding> {
  const { rented } = await divided(economy, 1_100, 0);
  const { chain, modelId, shares } = economy;
  const { addresses } = chain;
  const found = await measured(economy, { attackers: [thief] }, async () => {
    await delegates(economy, [thief]);
    const begun = epochOf(economy);
    const perEpoch = (COMPUTE * 10n) / 7n;
    const change = setBudget.call({ addresses, modelId, replaces: 1, perEpoch, bps: [0, 10_000, 0, 0] });
    for (let votes = 0; epochOf(economy) < begun + LONG; votes++) await grab(economy, votes === 0 ? [change] : [], []);
    const held = await balanceOf(chain.client, { shares, account: thief.address });
    const percentOfSupply = Number((held * 100n) / (await totalSupply(chain.client, { shares })));
    return { rented, more: { percentOfSupply, days: epochOf(economy) - begun } };
  });
  // Nobody was paid for compute from the change on, at the latest.
  return { ...found, lost: BigInt(LONG - 9) * COMPUTE };
}

/** What a share costs, in the token's smallest units. */
const priceOf = (dollars: bigint, bought: bigint): number => Number((dollars * share) / bought);

/** Somebody bids ten times what all others do, ten times. */
export async function outbidding(economy: Economy): Promise<Finding> {
  const whale = accountNamed("whale");
  const { chain, shares, governor } = economy;
  const before = await holdings(economy, buyers);
  const found = await measured(economy, { attackers: [whale] }, async () => {
    for (let times = 0; times < 10; times++) {
      for (const buyer of buyers) await buy(economy, buyer, 10n * dollar);
      const epoch = await buy(economy, whale, 300n * dollar);
      await payday(economy);
      await settle(economy, epoch, [...buyers, whale]);
    }
    return {};
  });
  const after = await holdings(economy, buyers);
  const quorum = await quorumAt(chain.client, { governor, timepoint: BigInt(chain.now() - 1) });
  const supply = await totalSupply(chain.client, { shares });
  const dollars = -3_000n * dollar;
  return {
    ...found,
    gain: { ...found.gain, dollars },
    more: {
      price: priceOf(-dollars, found.gain.shares),
      othersPrice: priceOf(300n * dollar, after.shares - before.shares),
      percentOfSupply: Number((found.gain.shares * 1_000n) / supply) / 10,
      percentOfQuorum: Number((found.gain.shares * 100n) / quorum),
    },
  };
}

/** A worker signs its work by fifty keys. */
export async function manyKeys(economy: Economy): Promise<Finding> {
  const keys = Array.from({ length: 50 }, (_, i) => accountNamed(`key ${i}`));
  const others = 1_000_003n;
  const one = shareOut(
    new Map([
      [thief.address, 500_000n],
      [organiser.address, others],
    ]),
    COMPUTE,
  );
  const alone = one.get(thief.address) ?? 0n;
  const found = await measured(economy, { attackers: keys }, async () => {
    await advanceToEpoch(economy, epochOf(economy) + 1);
    const { from, to } = due(economy);
    const work = new Map<Address, bigint>([[organiser.address, others]]);
    for (const { address } of keys) work.set(address, 10_000n);
    const leaves = earned(economy, from, to, () => work);
    await activate(economy, await post(economy, leaves));
    return { more: { epochs: to - from + 1 } };
  });
  const epochs = BigInt(found.more["epochs"] ?? 0);
  return { ...found, lost: 0n, gain: { ...found.gain, shares: found.gain.shares - epochs * alone } };
}

/** A buyer deposits by fifty accounts. */
export async function manyBuyers(economy: Economy): Promise<Finding> {
  const keys = Array.from({ length: 50 }, (_, i) => accountNamed(`buyer's key ${i}`));
  const found = await measured(economy, { attackers: [...keys, thief] }, async () => {
    // The same sum once by one account and once by fifty, in one epoch: what each gets must be the same.
    for (const key of keys) await buy(economy, key, 2n * dollar);
    const epoch = await buy(economy, thief, 100n * dollar);
    await payday(economy);
    await settle(economy, epoch, [...keys, thief]);
    return {};
  });
  const [many, one] = await Promise.all([holdings(economy, keys), holdings(economy, [thief])]);
  return { ...found, gain: { shares: many.shares - one.shares, coins: 0n, dollars: 0n } };
}

/** A validator signs two roots of the same epochs and reports itself, before anybody else does. */
export async function reportsItself(economy: Economy): Promise<Finding> {
  const [one, ...rest] = validators as [Actor, ...Actor[]];
  const { chain } = economy;
  return measured(economy, { attackers: [one, thief], honest: rest }, async () => {
    await advanceToEpoch(economy, epochOf(economy) + 1);
    const { attestation: a, signatures } = await post(economy, trueLeaves(economy));
    const b = { ...a, root: `0x${"42".repeat(32)}` } as const;
    const data = typedDataOf(domainFor(31_337, chain.addresses.computeRewards), "Attestation", b);
    const [first, second] = [
      { struct: a, signature: signatures[0]! },
      { struct: b, signature: await one.signTypedData(data) },
    ];
    await chain.send(thief, slashAttestations.call({ stakes: chain.stakes, a: first, b: second }));
    return {};
  });
}

/** Nobody tries anything, for a month. */
export const honestMonth = (economy: Economy): Promise<Finding> =>
  measured(economy, { attackers: [organiser, ...validators] }, async () => {
    for (let paydays = 0; paydays < 10; paydays++) await payday(economy);
    return {};
  });
