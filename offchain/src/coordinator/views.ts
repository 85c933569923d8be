/** What the API shows of a run: state, soft state and tables put into the protocol's messages. */
import {
  type Address,
  type CheckpointList,
  CHECKPOINTS_PER_PAGE,
  type EpochList,
  type EpochView,
  type HeartbeatReply,
  MAX_BUILDS,
  type MemberView,
  type RunContracts,
  type RunView,
  type VerdictList,
} from "@cotrain/sdk/protocol";
import { getAddress } from "viem";

import { heldOutOf } from "./machine/heldOut.ts";
import { receiptsOf } from "./machine/dealing.ts";
import type { HeldOut, Member, RunState, Work } from "./machine/state.ts";
import type { Run } from "./run.ts";

/** What a member does in the open round, and how far it is. */
function progressOf(run: Run, work: Work | undefined) {
  if (!work) return { activity: "waiting", round: null, step: 0, steps: 0 } as const;
  const { round, steps } = work.assignment;
  if (work.receipt) return { activity: "waiting", round, step: steps, steps } as const;
  const current = run.presence.progressOf(work.assignment);
  return { activity: current?.uploading ? "uploading" : "training", round, step: current?.step ?? 0, steps } as const;
}

function memberView(run: Run, state: RunState, member: Member): MemberView {
  const beat = run.presence.heartbeatOf(member.worker);
  const { activity, round, step, steps } = progressOf(run, state.current?.work[member.worker]);
  return {
    worker: getAddress(member.worker),
    beneficiary: getAddress(member.beneficiary),
    machineClass: member.machineClass,
    state: member.silent ? "silent" : activity,
    round,
    step,
    steps,
    loss: beat?.loss ?? null,
    ...(beat?.lossTokens !== undefined && { lossTokens: beat.lossTokens }),
    tokensPerSecond: beat?.tokensPerSecond ?? null,
    tokens: String(state.totals[member.worker] ?? 0),
  };
}

/** Rounds follow each other at once; a longer pause between two means that the run rested. */
const REST_MS = 5_000;

/** The last rounds since the run rested. */
function roundsInARow(state: RunState): RunState["recent"] {
  const recent = state.recent.slice(-8);
  const openings = [...recent.slice(1), ...(state.current ? [state.current] : [])].map(({ openedAt }) => openedAt);
  const rest = recent.findLastIndex(({ durableAt }, index) => (openings[index] ?? durableAt) - durableAt > REST_MS);
  return recent.slice(rest + 1);
}

/** Accepted tokens over the time of the last rounds; before the first one is over, what the members report. */
export function tokensPerSecond(state: RunState, members: readonly MemberView[]): number {
  const recent = roundsInARow(state);
  const [first, last] = [recent[0], recent.at(-1)];
  if (!first || !last || last.durableAt <= first.openedAt) {
    return members.reduce((sum, member) => sum + (member.state === "training" ? (member.tokensPerSecond ?? 0) : 0), 0);
  }
  return (recent.reduce((sum, { tokens }) => sum + tokens, 0) * 1_000) / (last.durableAt - first.openedAt);
}

/**
 * Nats per token, weighted by the tokens that each member has trained, and the tokens that it rests on. Who has nothing accepted would
 * weigh nothing and still make the sample larger: it counts only while nobody who says a loss has, and all alike then.
 */
export function trainLoss(
  members: readonly Pick<MemberView, "loss" | "lossTokens" | "tokens">[],
): Pick<RunView["loss"], "train" | "trainTokens"> {
  const told = members.flatMap(({ loss, lossTokens, tokens }) =>
    loss === null || lossTokens === undefined ? [] : [{ loss, lossTokens, trained: Number(tokens) }],
  );
  const accepted = told.filter(({ trained }) => trained > 0);
  let [sum, weight, sample] = [0, 0, 0];
  for (const { loss, lossTokens, trained } of accepted.length > 0 ? accepted : told) {
    const share = Math.max(1, trained);
    sum += loss * share;
    weight += share;
    sample += lossTokens;
  }
  return weight === 0 ? { train: null } : { train: sum / weight, trainTokens: sample };
}

const heldOutView = (found: HeldOut | null): RunView["loss"]["heldOut"] =>
  found && { ...found, sequences: found.sequences ?? null };

function acceptedOf({ totals }: RunState): RunView["accepted"] {
  const all = Object.values(totals).filter((tokens) => tokens > 0);
  return { workers: all.length, tokens: String(all.reduce((sum, tokens) => sum + tokens, 0)) };
}

/** The most that a message can say. */
const MOST_WEI = 2n ** 256n - 1n;
/** A run can be looked at whatever its chain asks for: more than can be said is said as the most. */
const weiText = (wei: bigint): string => (wei < MOST_WEI ? wei : MOST_WEI).toString();

export function runView(run: Run): RunView {
  const { state } = run.driver;
  const members = Object.values(state.members)
    .toSorted((a, b) => (a.worker < b.worker ? -1 : 1))
    .map((member) => memberView(run, state, member));
  const anchored = state.heads.findLast(({ anchor }) => anchor !== null);
  const { current } = state;
  const feeWait = run.modules.chain.feeWait();
  return {
    runId: run.runId,
    modelId: run.facts.modelId,
    chainId: run.facts.chainId,
    contracts: shown(run.contracts),
    rpcUrl: run.announced.rpcUrl,
    deployment: { profile: run.announced.profile, blocks: { ...run.announced.blocks } },
    definition: run.definitionDigest,
    builds: run.builds.known.slice(0, MAX_BUILDS),
    poster: getAddress(run.modules.poster.address),
    phase: state.phase,
    round: state.round,
    step: state.checkpoint.step,
    tokens: String(state.checkpoint.tokens),
    paramsVersion: current?.paramsVersion ?? state.paramsVersion,
    params: current?.params ?? state.params,
    ...(state.nextParams && { nextParamsVersion: state.nextParams.version }),
    checkpoint: { round: state.checkpoint.round, digest: state.checkpoint.digest },
    anchored: anchored
      ? {
          round: anchored.round,
          sequence: anchored.sequence,
          head: anchored.head,
          transaction: anchored.anchor?.transaction ?? null,
        }
      : null,
    ...(feeWait && {
      feeWait: { ...feeWait, asked: weiText(feeWait.asked), allowed: weiText(feeWait.allowed) },
    }),
    current: current
      ? {
          round: current.round,
          innerSteps: current.innerSteps,
          openedAt: current.openedAt,
          deadline: current.deadline,
          assigned: Object.keys(current.work).length,
          received: receiptsOf(current).length,
        }
      : null,
    members,
    accepted: acceptedOf(state),
    loss: {
      ...trainLoss(members),
      heldOut: heldOutView(heldOutOf(state, "newest")),
      heldOutFirst: heldOutView(state.heldOutFirst),
    },
    tokensPerSecond: tokensPerSecond(state, members),
    traffic: { ...state.traffic },
    kept: {
      payloadSeconds: Math.floor(run.retention.payloads / 1_000),
      checkpoints: run.retention.checkpoints,
      checkpointBytes: run.retention.checkpointBytes,
    },
  };
}

/** In the casing of EIP-55, as all addresses that people read. */
const shown = (contracts: RunContracts): RunContracts => ({
  shares: getAddress(contracts.shares),
  governor: getAddress(contracts.governor),
  timelock: getAddress(contracts.timelock),
  checkpointRegistry: getAddress(contracts.checkpointRegistry),
  runRegistry: getAddress(contracts.runRegistry),
  modelRegistry: getAddress(contracts.modelRegistry),
  validatorSet: getAddress(contracts.validatorSet),
  emission: getAddress(contracts.emission),
  computeRewards: getAddress(contracts.computeRewards),
  ...(contracts.codeGrants && { codeGrants: getAddress(contracts.codeGrants) }),
  ...(contracts.capitalSale && { capitalSale: getAddress(contracts.capitalSale) }),
});

/** A page of them. */
export async function checkpointList(run: Run, from: number): Promise<CheckpointList> {
  const rows = await run.projections.checkpoints(from, CHECKPOINTS_PER_PAGE + 1);
  return {
    next: rows[CHECKPOINTS_PER_PAGE]?.round ?? null,
    checkpoints: rows.slice(0, CHECKPOINTS_PER_PAGE).map((row) => ({
      round: row.round,
      digest: row.digest,
      paramsVersion: row.paramsVersion,
      // Its head is known before; only what stands on-chain is shown.
      head: row.block === null ? null : row.head,
      sequence: row.block === null ? null : row.sequence,
      transaction: row.transaction,
      block: row.block,
    })),
  };
}

/** Those that count come last: of two of one key the later is the one. */
export const verdictList = (run: Run): VerdictList => ({
  verdicts: [...run.contradicted.statements(), ...Object.values(run.driver.state.verdicts)],
});

export function epochList(run: Run): EpochList {
  const epochs: EpochView[] = [];
  for (const { epoch, computed, state, signatures, transaction } of run.driver.state.epochs) {
    if (!computed || state === "computing") continue;
    epochs.push({
      epoch,
      manifest: computed.manifest,
      attestation: computed.attestation,
      signatures: [...signatures],
      state,
      transaction,
    });
  }
  const revenue = run.revenue?.published();
  return { epochs: revenue ? [...epochs, revenue] : epochs };
}

export function heartbeatReply({ driver }: Run, worker: Address): HeartbeatReply {
  const { round, phase, current, members } = driver.state;
  const work = current?.work[worker];
  if (!work) return { round, phase, work: null };
  const { assignmentId, attempt } = work.assignment;
  const { deadline, newcomers } = current;
  const until = members[worker]?.measured === true ? deadline : Math.min(deadline, newcomers ?? deadline);
  // Deadlines are of the run's own clock, which does not jump when the machine's is set.
  const from = (at: number): number => Math.max(0, Math.round(at - driver.now()));
  const times = work.receipt ? { left: null, partIn: null } : { left: from(until), partIn: from(work.partFrom) };
  return { round, phase, work: { assignmentId, attempt, ...times } };
}
