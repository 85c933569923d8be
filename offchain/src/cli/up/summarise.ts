/** Gathers the summary: what the coordinator, the chain and the newest checkpoint say. */
import { governorOf, proposalState } from "@cotrain/sdk/actions";
import { type Address, asAddress, asDigest, type RunView } from "@cotrain/sdk/protocol";

import { type Clock, formatAddress, formatShares, retrying, steady, timeText } from "../../base/index.ts";
import { commandFor } from "../../base/node/index.ts";
import {
  workOf,
  layout,
  type ActiveRewards,
  activeRewards,
  blobSourceOf,
  earningsOf,
  heldOutUntrained,
} from "../../run/index.ts";
import { parameterCount, presetOf } from "../../engine/index.ts";
import { writeStateFile } from "../../service/index.ts";
import { feeWaitText } from "../feeWait.ts";
import { promptFor, textFrom } from "../text.ts";
import { nextRoundOf } from "../status/lines.ts";
import { unpaidLines } from "../unpaid.ts";
import { acceptedProposals, executedProposals } from "./decisions.ts";
import { moneyOf } from "./earnings.ts";
import { commandsFor } from "./commands.ts";
import { disputedIn, hadDispute } from "./disputed.ts";
import { rentedIn } from "./rented.ts";
import { contributedTo, type Ownership, ownershipOf } from "./ownership.ts";
import { type Prepared, type RentedReport, type TrainingSession, unmeasured } from "../../localnet/index.ts";
import { Summary } from "./summary.ts";

const SAMPLE_TOKENS = 80;
const SHARE_NAME = { name: "Cotrain Model", symbol: "COTRAIN" };

/** The model's text before any training and now: one prompt, one seed. */
async function sample(prepared: Prepared, view: RunView, initial: string): Promise<Summary["sample"]> {
  const { blobs, data } = prepared;
  const prompt = await promptFor(blobs, data);
  const [build] = view.builds;
  const write = async (checkpoint: string): Promise<string> => {
    let text = "";
    const stream = textFrom({
      blobs,
      definition: asDigest(view.definition),
      build: asDigest(build ?? ""),
      checkpoint: asDigest(checkpoint),
      prompt,
      tokens: SAMPLE_TOKENS,
      // As `generate` does without flags: the command in the summary goes on from what stands there.
      temperature: 0.8,
      topK: 40,
      seed: 0,
      threads: 2,
    });
    for await (const piece of stream) text += piece;
    return text;
  };
  return { prompt, before: await write(initial), after: await write(view.checkpoint.digest) };
}

/** Wallets of others that are named one by one, those that trained most. */
const SHOWN_ELSEWHERE = 16;

/** A wallet of the summary, before it is known what it has. */
interface Named {
  readonly name: string;
  readonly account: string;
}

const trainedBy = (work: ReadonlyMap<Address, bigint>, account: string): bigint =>
  work.get(account.toLowerCase() as Address) ?? 0n;

/** This machine's wallets, and those of others that trained most. */
function namedWallets(
  { owners }: Prepared,
  work: ReadonlyMap<Address, bigint>,
  rewards: ActiveRewards | undefined,
): Named[] {
  const own = owners.map((owner) => ({ name: owner.name, account: owner.client.account.address }));
  const known = new Set(own.map(({ account }) => account.toLowerCase()));
  const elsewhere = [...(rewards?.accounts ?? []), ...work.keys()]
    .filter((account) => !known.has(account.toLowerCase()) && known.add(account.toLowerCase()))
    .toSorted((a, b) => {
      const [first, second] = [trainedBy(work, a), trainedBy(work, b)];
      return first === second ? 0 : first > second ? -1 : 1;
    })
    .slice(0, SHOWN_ELSEWHERE)
    .map((account) => ({ name: "elsewhere", account }));
  return [...own, ...elsewhere];
}

async function walletsOf(
  prepared: Prepared,
  session: TrainingSession,
  named: readonly Named[],
  { work, rewards, ownership }: Found,
): Promise<Summary["wallets"]> {
  const { addresses, modelId } = prepared;
  const [asker] = prepared.owners;
  if (!asker) return [];
  const wallets = await Promise.all(
    named.map(async ({ name, account }) => {
      const where = { addresses, modelId, account: asAddress(account) };
      const { earned, claimed } = await earningsOf(asker.client, where, rewards);
      const { balance, votes } = ownership.holdingOf(account);
      return {
        name,
        account: formatAddress(account),
        tokens: trainedBy(work, account).toString(),
        earned: earned.toString(),
        claimed: claimed.toString(),
        balance: balance.toString(),
        votes: votes.toString(),
        transaction: session.claims.get(name)?.transaction ?? null,
      };
    }),
  );
  const idle = new Set([prepared.contributors?.buyer.name, prepared.contributors?.author.name]);
  return wallets.filter((wallet) => !idle.has(wallet.name) || hasPart(wallet));
}

/** What is known of all wallets. */
interface Found {
  readonly work: ReadonlyMap<Address, bigint>;
  readonly rewards: ActiveRewards | undefined;
  readonly ownership: Ownership;
}

/** Whether a wallet has any part in the model. */
const hasPart = ({ tokens, earned, balance }: Summary["wallets"][number]): boolean =>
  [tokens, earned, balance].some((amount) => amount !== "0");

/** What cannot have happened yet on this chain, and when it is due. */
async function pendingOf(prepared: Prepared, { first }: TrainingSession, view: RunView): Promise<Summary["pending"]> {
  const { reader, modelId, runId } = prepared;
  const pending: { what: string; due: string | null }[] = [];
  if (view.anchored === null || view.anchored.round < view.checkpoint.round)
    pending.push({ what: `anchoring of checkpoint ${view.checkpoint.round}`, due: null });
  const dear = feeWaitText(view);
  if (dear !== undefined) pending.push({ what: dear, due: null });
  const [active, waiting, heads] = await Promise.all([
    reader.activeRoot(modelId),
    reader.pendingRoot(modelId),
    reader.headsSince(runId, 0),
  ]);
  if (waiting)
    pending.push(
      waiting.activatableAt === undefined
        ? { what: `the vote on the disputed reward root of epoch ${waiting.epoch}`, due: null }
        : { what: `activation of the reward root of epoch ${waiting.epoch}`, due: timeText(waiting.activatableAt) },
    );
  const last = heads.at(-1);
  if (last && last.round > 0) {
    const epoch = await reader.epochOf(modelId, last.anchoredAt);
    if (epoch > (active?.epoch ?? 0) && epoch > (waiting?.epoch ?? 0)) {
      const end = await reader.epochEnd(modelId, epoch);
      const { window } = await reader.schedule(modelId);
      pending.push(
        { what: `reward root of epoch ${epoch}`, due: timeText(end) },
        { what: `claims of epoch ${epoch}`, due: timeText(end + window) },
      );
    }
  }
  for (const what of unmeasured(view, first.round === 0)) pending.push({ what, due: null });
  return pending;
}

/** What this machine's wallets earned and have not claimed, whatever hindered them. */
export function unclaimedBy(wallets: Summary["wallets"], state: string): Summary["pending"] {
  const left = wallets.flatMap(({ name, earned, claimed: paid }) => {
    const amount = BigInt(earned) - BigInt(paid);
    return name === "elsewhere" || amount <= 0n ? [] : [{ name, amount }];
  });
  if (left.length === 0) return [];
  const sum = left.reduce((total, { amount }) => total + amount, 0n);
  const who = left.map(({ name }) => name).join(", ");
  const by = commandFor(state, "rewards", "claim");
  return [{ what: `claim of ${formatShares(sum)} shares that ${who} earned, possible now: "${by}"`, due: null }];
}

/** This session's proposal, as it stands by now: one that nobody carried out is lost or has expired. */
async function proposalOf(
  { owners: [asker], addresses, modelId }: Prepared,
  { decision, appliedInRound }: TrainingSession,
  view: RunView,
): Promise<Summary["proposal"]> {
  if (!decision) return null;
  const { proposalId } = decision;
  const governor = asker && (await governorOf(asker.client, { addresses, modelId }));
  const state = asker && governor && (await proposalState(asker.client, { governor, proposalId }));
  return {
    id: proposalId.toString(),
    title: decision.title,
    state: state ?? decision.state,
    votesFor: decision.votesFor.toString(),
    votesAgainst: decision.votesAgainst.toString(),
    supply: decision.supply?.toString() ?? null,
    executed: decision.executed ?? null,
    paramsVersion: decision.executed === undefined ? null : decision.paramsVersion,
    appliedInRound: appliedInRound ?? null,
    ...(decision.executed !== undefined &&
      view.nextParamsVersion !== undefined && { appliesFromRound: nextRoundOf(view) }),
  };
}

/** What holders decided, but for this session's proposal; and what they accepted that nobody has carried out yet. */
async function decisionsOf(
  { owners: [asker], addresses, modelId, fromBlock, state }: Prepared,
  { decision }: TrainingSession,
): Promise<Pick<Summary, "decided" | "decidedBefore" | "pending">> {
  if (!asker) return { decided: [], pending: [] };
  const governor = await governorOf(asker.client, { addresses, modelId });
  const { last, before } = await executedProposals(asker.client, governor, fromBlock);
  const decided = last
    .filter(({ id }) => id !== decision?.proposalId)
    .map(({ title, transaction }) => ({ title, transaction }));
  const pending = await acceptedProposals(asker.client, { governor, fromBlock, state });
  return { decided, ...(before > 0 && { decidedBefore: before }), pending };
}

function trainingOf(session: TrainingSession, view: RunView): Summary["training"] {
  return {
    firstRound: session.first.round,
    rounds: view.round,
    steps: view.step,
    tokens: view.tokens,
    milliseconds: Math.round(session.milliseconds),
    sessionTokens: session.tokens.toString(),
    // Of a run that has ended a session may take no time that is worth the name.
    tokensPerSecond: Number(session.tokens) / (Math.max(1, session.milliseconds) / 1_000),
    traffic: view.traffic,
    codec: view.params.codec,
    downCodec: view.params.downCodec,
  };
}

type Loss = RunView["loss"]["heldOut"] | undefined;

const lossOf = (measured: Loss): number | null => measured?.microBitsPerByte ?? null;
const sequencesOf = (measured: Loss): number | null => measured?.sequences ?? null;
const roundOf = (measured: Loss): number | null => measured?.round ?? null;

function heldOutOf({ first }: TrainingSession, { loss }: RunView, sequence: number): Summary["heldOut"] {
  const initial = heldOutUntrained(loss);
  // A later measurement of an earlier checkpoint than the session's first would make the session look better than it was.
  const before = first.loss.heldOut ?? (first.round === 0 ? initial : undefined);
  const after = loss.heldOut;
  return {
    initial: lossOf(initial),
    before: lossOf(before),
    after: lossOf(after),
    checkpoints: { before: roundOf(before), after: roundOf(after) },
    sequences: { initial: sequencesOf(initial), before: sequencesOf(before), after: sequencesOf(after) },
    sequence,
  };
}

/** What of this session's work earned nothing, and whether there is, or may be, more of earlier sessions'. */
async function unpaidIn(
  { reader, runId, modelId }: Prepared,
  { first }: TrainingSession,
  rewards: ActiveRewards | undefined,
) {
  const { works, rest } = (await rewards?.unpaid()) ?? { works: [], rest: "none" };
  const last = first.round > 0 && (await reader.headsSince(runId, 0)).findLast(({ round }) => round === first.round);
  const before = last ? await reader.epochOf(modelId, last.anchoredAt) : 0;
  const own = works.filter(({ epoch, round }) => (round === null ? epoch > before : round > first.round));
  return { works: own, earlier: own.length < works.length || rest === "beyond" };
}

export interface SummaryOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** What the next start must be told again, since the run does not keep it. */
  readonly again?: readonly string[];
  /** What was rented for this session. */
  readonly rented?: RentedReport | undefined;
}

/** How long it is gathered anew where coordinator or chain are away: they are being started again. */
const AWAY_MS = 60_000;

/** Gathers the summary and keeps it in the state directory. */
export async function summarise(
  prepared: Prepared,
  session: TrainingSession,
  { clock, signal, again = [], rented }: SummaryOptions,
): Promise<Summary> {
  const retry = { clock, signal, ...steady(500), within: AWAY_MS };
  const summary = await retrying(() => gather(prepared, session, again, rented), retry);
  await writeStateFile(layout(prepared.state).summary, Summary, summary);
  return summary;
}

type Checkpoint = Summary["checkpoints"][number];
const checkpointOf = ({ round, sequence, digest, transaction, block }: Checkpoint): Checkpoint => ({
  round,
  sequence,
  digest,
  transaction,
  block,
});

async function gather(
  prepared: Prepared,
  session: TrainingSession,
  again: readonly string[],
  rented: RentedReport | undefined,
): Promise<Summary> {
  const { coordinator, runId, modelId } = prepared;
  const [view, list] = await Promise.all([coordinator.run(runId), coordinator.checkpoints(runId)]);
  const text = await sample(prepared, view, list.checkpoints[0]?.digest ?? view.checkpoint.digest);
  const source = blobSourceOf(prepared.blobs);
  const digests = list.checkpoints.map(({ digest }) => asDigest(digest));
  const work = await workOf(source, runId, digests);
  // Before the rewards: a root that becomes active between the two is then named as waiting, or as to be claimed.
  const pending = await pendingOf(prepared, session, view);
  const rewards = await activeRewards(modelId, source, prepared.reader);
  const named = namedWallets(prepared, work, rewards);
  const ownership = await ownershipOf(
    prepared,
    named.map(({ account }) => account),
  );
  const wallets = await walletsOf(prepared, session, named, { work, rewards, ownership });
  const contributed = await contributedTo(prepared, session);
  const money = await moneyOf(prepared, session);
  const disputed = disputedIn(prepared, session);
  const happened = { ...contributed, ...money, ...disputed, hadDispute: await hadDispute(prepared) };
  const names = new Map(prepared.owners.map(({ name, client }) => [client.account.address.toLowerCase(), name]));
  const unpaid = await unpaidIn(prepared, session, rewards);
  const { pending: accepted, ...decisions } = await decisionsOf(prepared, session);
  return {
    version: 5,
    finishedAt: new Date().toISOString(),
    chainId: prepared.facts.chainId,
    rpc: prepared.facts.rpc,
    contracts: { ...prepared.facts.contracts },
    model: {
      modelId,
      runId,
      name: SHARE_NAME.name,
      preset: prepared.preset,
      parameters: parameterCount(presetOf(prepared.preset).model),
      text: prepared.data.source,
    },
    training: trainingOf(session, view),
    heldOut: heldOutOf(session, view, prepared.definition.sequence),
    sample: text,
    checkpoints: list.checkpoints.map(checkpointOf),
    wallets,
    unpaid: unpaidLines(unpaid.works, (account) => names.get(account.toLowerCase())),
    ...(unpaid.earlier && { unpaidEarlier: commandFor(prepared.state, "rewards", "list") }),
    shares: { ...SHARE_NAME, ...ownership.shares },
    ...contributed,
    ...money,
    ...disputed,
    ...rentedIn(rented),
    proposal: await proposalOf(prepared, session, view),
    noVote: session.noVote ?? null,
    ...decisions,
    pending: [
      ...pending,
      ...accepted,
      ...contributed.pending,
      ...money.pending,
      ...unclaimedBy(wallets, prepared.state),
    ],
    commands: commandsFor(prepared.state, text.prompt, again, happened),
  };
}
