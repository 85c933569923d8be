/**
 * A run in a world that a seed decides: workers that come, die, send late, twice or stale; effects that fail, land without
 * an answer, or are lost with the process; a chain that goes away and backwards, of whose roots an RPC lies for a while.
 * Invariants are checked after every event, and the log is replayed at every restart.
 */
import {
  outcomeCode,
  type Address,
  type Digest,
  digestOfJson,
  headHash,
  type Hex,
  runParamsToWire,
  type SignedVerdict,
  zeroHash,
  MAX_DEADLINE_DELAYS,
} from "@cotrain/sdk/protocol";
import { expect } from "vitest";

import { createRandom, type Random } from "../../../offchain/src/base/index.ts";
import type { PendingEffect } from "../../../offchain/src/coordinator/machine/effects.ts";
import type { ReceiptAccepted, RunEvent, Unstamped } from "../../../offchain/src/coordinator/machine/events.ts";
import { violationsOf } from "../../../offchain/src/coordinator/machine/invariants.ts";
import { step } from "../../../offchain/src/coordinator/machine/machine.ts";
import { outstandingOf, receiptsOf } from "../../../offchain/src/coordinator/machine/dealing.ts";
import { refusalOf } from "../../../offchain/src/coordinator/machine/rules.ts";
import { type RunState, settledForAll, type Work } from "../../../offchain/src/coordinator/machine/state.ts";
import { params } from "./harness.ts";
import { build, elements, facts, fragmentOf, receiptFor, registry, runId, START } from "./simulated.ts";
import { createHolders } from "./simulationRollback.ts";
import {
  addressOf,
  type ChainHead,
  type ChainRoot,
  createCourt,
  endOf,
  epochAt,
  movedHeads,
  POSTING_DELAY,
  validators,
  signedOf,
  WINDOW,
} from "./simulationWorld.ts";

export interface SimulationResult {
  readonly state: RunState;
  readonly log: readonly RunEvent[];
  readonly restarts: number;
  readonly refused: number;
  readonly reverts: number;
  /** Disputes that ended against the root. */
  readonly disputes: number;
}

export function simulate(seed: string | number, actions: number, goesBack = false): SimulationResult {
  const random: Random = createRandom(`coordinator/${seed}`);
  const chance = (share: number): boolean => random.float() < share;
  let now = START;
  let restarts = 0;
  let refused = 0;
  /** By how much the wall clock was set; the chain has its own. */
  let set = 0;
  const seconds = (): number => Math.floor((now - set) / 1_000);

  // The chain.
  const head0 = headHash({
    chainId: 31_337n,
    registry,
    parentHead: zeroHash,
    runId,
    sequence: 0n,
    round: 0n,
    paramsVersion: 1,
    checkpointDigest: digestOfJson("checkpoint 0"),
    receiptsRoot: zeroHash,
  });
  let heads: ChainHead[] = [{ head: head0, sequence: 0, anchoredAt: seconds() }];
  let active: ChainRoot | undefined;
  /** The active roots before the newest: what is left when activations are lost, one after the other. */
  const earlier: (ChainRoot | undefined)[] = [];
  let pendingRoot: ChainRoot | undefined;
  let away = false;
  let everActive = 0;
  /** Of the pending root. */
  const court = createCourt(random, seconds);
  /** What the RPC says of the roots in the chain's place. */
  let lie: { active?: ChainRoot | undefined; pending?: ChainRoot | undefined } = {};
  const told = () => ({ active, pending: pendingRoot, ...lie });
  let version = 1;

  // The coordinator.
  const created: RunEvent = {
    type: "RunCreated",
    at: now,
    facts,
    params: runParamsToWire(params),
    paramsVersion: 1,
    checkpoint: {
      round: 0,
      digest: digestOfJson("checkpoint 0"),
      step: 0,
      tokens: 0,
      paramsVersion: 1,
      fragments: elements.map((_, index) => ({ ...fragmentOf(`0/${index}`), index })),
    },
    head: head0,
    anchor: { transaction: null, block: 1, anchoredAt: seconds(), epoch: 1 },
    epochEnd: endOf(1),
    secret: digestOfJson({ secret: -1, seed }),
  };
  const holders = createHolders(seed, created.checkpoint);
  const log: RunEvent[] = [created];
  let state = step(null, created).state;
  let snapshot: { state: string; seq: number } | undefined;
  const running = new Map<string, PendingEffect>();
  const counted = new Set<Hex>();
  /** What each effect was asked to work on: a key stands for one thing. */
  const inputs = new Map<string, string>();
  let computedFrom = 0;
  const past: Unstamped<ReceiptAccepted>[] = [];
  /** Payloads of the closing round that are lost. */
  let missing: Record<Address, number> = {};

  function offer(event: Unstamped): boolean {
    if (refusalOf(state, event)) {
      refused += 1;
      return false;
    }
    const stamped = JSON.parse(
      JSON.stringify({ ...event, at: event.type === "ClockStepped" ? now : Math.max(now, state.at) }),
    ) as RunEvent;
    const before = state;
    log.push(stamped);
    state = step(state, stamped).state;
    if (stamped.type !== "ClockStepped")
      expect(state.at, `seed ${seed}: time does not fall`).toBeGreaterThanOrEqual(before.at);
    holders.note(stamped, before, state);
    const violations = violationsOf(state, before);
    if (violations.length > 0) expect.fail(`seed ${seed}, event ${log.length} ${event.type}: ${violations.join("; ")}`);
    expect(settledForAll(state), `seed ${seed}: no lie covers heads`).toBeLessThanOrEqual(everActive);
    const record = state.epochs.at(-1);
    if (stamped.type === "EpochComputed" && stamped.result && record?.state === "collecting") {
      const effect = before.pending[stamped.key]?.effect;
      const again = effect?.kind === "computeEpoch" && effect.again === true;
      if (!again)
        expect(computedFrom, `seed ${seed}: an epoch counts all verdicts accepted before`).toBe(state.verdictsAccepted);
    }
    running.clear();
    for (const [key, pending] of Object.entries(state.pending)) running.set(key, pending);
    return true;
  }
  for (const [key, pending] of Object.entries(state.pending)) running.set(key, pending);

  /** What a killed process leaves is its log and snapshot; what ran is asked for again. */
  function restart(): void {
    restarts += 1;
    let replayed: RunState | null = null;
    let from = 0;
    if (snapshot && chance(0.7)) {
      replayed = JSON.parse(snapshot.state) as RunState;
      from = snapshot.seq;
    }
    for (const event of log.slice(from)) replayed = step(replayed, event).state;
    expect(replayed, `seed ${seed}: a replay gives the same state`).toEqual(state);
    state = replayed!;
    running.clear();
    for (const [key, pending] of Object.entries(state.pending)) running.set(key, pending);
  }

  /** The wall clock is set, by up to an hour either way: what a round waits for is as far away as before. */
  function stepClock(ms: number): void {
    const left = (at: number): number[] =>
      Object.values(state.pending).flatMap(({ effect }) =>
        effect.kind === "setTimer" && effect.clock === "run" ? [effect.due - at] : [],
      );
    const was = Math.max(now, state.at);
    const before = left(was);
    now += ms;
    set += ms;
    expect(offer({ type: "ClockStepped", was })).toBe(true);
    expect(left(now), `seed ${seed}: deadlines do not move`).toEqual(before);
  }

  // Workers.
  function join(index: number): void {
    offer({
      type: "MemberJoined",
      join: {
        runId,
        worker: addressOf(index),
        beneficiary: addressOf(index + 50),
        lease: zeroHash,
        build,
        conformance: zeroHash,
        protocolMin: 1,
        protocolMax: 1,
        issuedAt: String(now),
      },
      signature: "0x",
      machineClass: "x",
      batch: 2,
      segmentSteps: 32,
      pace: chance(0.5) ? 1 + random.below(10_000_000) : null,
      restarted: chance(0.5),
    });
  }

  function submit(work: Work, complete: boolean): void {
    const event = receiptFor(work, addressOf(50));
    for (const { index, digest, bytes } of event.header.fragments) {
      if (!complete && index > 0) continue;
      const { worker, assignmentId, attempt } = work.assignment;
      offer({ type: "FragmentAccepted", worker, assignmentId, attempt, index, digest: digest as Digest, bytes });
    }
    past.push(event);
    if (offer(event)) {
      expect(counted.has(event.receiptHash), `seed ${seed}: a payload is counted once`).toBe(false);
      counted.add(event.receiptHash);
    }
  }

  /** What those who have not submitted say of their progress, true or not. */
  function reports(): Record<Address, { step: number; uploading: boolean }> {
    const said: Record<Address, { step: number; uploading: boolean }> = {};
    for (const { assignment } of state.current ? outstandingOf(state.current) : []) {
      if (chance(0.5)) said[assignment.worker] = { step: random.below(assignment.steps + 1), uploading: chance(0.2) };
    }
    return said;
  }

  // Effects.
  function perform(key: string, pending: PendingEffect, faults: boolean): void {
    const { effect, attempt } = pending;
    if (effect.kind === "setTimer") {
      if (now >= effect.due) offer({ type: "TimerFired", key, reports: reports() });
      return;
    }
    if (now < pending.notBefore) return;
    const fail = (code: string, retryable = true): void => {
      offer({ type: "EffectFailed", key, code, attempt, retryable });
    };
    if (faults && chance(0.15)) return fail("FAULT");
    // Done outside, and the answer lost with the process.
    const lost = faults && chance(0.05);
    const answer = (event: Unstamped): void => {
      if (lost) restart();
      else if (!offer(event)) fail("RESULT_REFUSED");
    };
    switch (effect.kind) {
      case "reduceSync": {
        const round = state.current!;
        const included = receiptsOf(round)
          .map(({ assignment }) => assignment.worker)
          .filter((worker) => round.excluded[worker] === undefined);
        const bad = faults && included.length > 0 && chance(0.03);
        const outcomes: Record<Address, number> = bad ? { [random.pick(included)]: outcomeCode.payloadMissing } : {};
        Object.assign(missing, outcomes);
        const name = `${effect.round}/${effect.fragment}/${included.join()}`;
        expect(inputs.get(key) ?? name, `seed ${seed}: ${key} stands for one set of payloads`).toBe(name);
        inputs.set(key, name);
        const shard = bad ? null : { ...fragmentOf(name), index: effect.fragment };
        return answer({
          type: "SyncReduced",
          key,
          round: effect.round,
          fragment: effect.fragment,
          paramsDigest: null,
          outerDigest: null,
          shard,
          outcomes,
        });
      }
      case "screenRound": {
        const copies = receiptsOf(state.current!).filter(() => faults && chance(0.05));
        const found = Object.fromEntries(copies.map(({ assignment }) => [assignment.worker, outcomeCode.copy]));
        // What is lost stays lost.
        const outcomes = { ...found, ...(state.current!.pass > 0 ? missing : {}) };
        if (state.current!.pass === 0) missing = {};
        return answer({ type: "RoundScreened", key, round: effect.round, record: digestOfJson(key), outcomes });
      }
      case "gateRound": {
        const { excluded, gate } = state.current!;
        const left = receiptsOf(state.current!)
          .map(({ assignment }) => assignment.worker)
          .filter((worker) => excluded[worker] === undefined);
        const harmful = left.length > 0 && faults && chance(0.1);
        const worker = harmful && chance(0.7) ? random.pick(left) : null;
        const after = harmful ? 3_000_000 : 2_000_000;
        return answer({
          type: "RoundGated",
          key,
          round: effect.round,
          before: left.length > 0 ? 2_000_000 : gate.before,
          pass: left.length > 0 ? { after, tried: [], leftOut: worker ? [worker] : [] } : null,
          outcomes: !harmful
            ? {}
            : worker
              ? { [worker]: outcomeCode.lossHarm }
              : Object.fromEntries(left.map((each) => [each, outcomeCode.roundDiscarded])),
          screening: harmful ? null : digestOfJson({ screening: effect.round }),
        });
      }
      case "storeCheckpoint":
        return answer({
          type: "CheckpointStored",
          key,
          round: effect.round,
          digest: digestOfJson(state.current!.syncs),
          receipts: digestOfJson("receipts"),
          receiptsRoot: digestOfJson({ root: effect.round }),
          secret: digestOfJson({ secret: effect.round, seed }),
        });
      case "anchorHead": {
        if (away) return fail("CHAIN_UNREACHABLE");
        const entry = state.heads.find(({ sequence }) => sequence === effect.sequence)!;
        let found = heads.find(({ head }) => head === entry.head);
        if (!found) {
          if (heads.at(-1)!.head !== entry.parentHead) return fail("HEAD_PARENT", false);
          found = { head: entry.head, sequence: entry.sequence, anchoredAt: seconds() };
          heads.push(found);
        }
        const { anchoredAt } = found;
        // Another time of its block, which may be.
        const epoch = Math.max(1, epochAt(anchoredAt) - (faults && chance(0.03) ? 1 + random.below(2) : 0));
        return answer({
          type: "HeadAnchored",
          head: entry.head,
          sequence: entry.sequence,
          anchor: { transaction: null, block: 1, anchoredAt, epoch },
          epochEnd: endOf(epoch),
        });
      }
      case "computeEpoch": {
        if (away) return fail("CHAIN_UNREACHABLE");
        const roots = told();
        if (roots.pending || (roots.active?.epoch ?? 0) !== state.settledEpoch) return fail("CHAIN_MOVED");
        if (seconds() < endOf(effect.epoch)) return fail("EPOCH_NOT_OVER");
        const verdicts = state.verdictsAccepted;
        if (chance(0.1)) return answer({ type: "EpochComputed", key, epoch: effect.epoch, result: null });
        // A verdict that arrives while the epoch is computed.
        if (faults && chance(0.2)) verdict();
        const manifest = digestOfJson({ epoch: effect.epoch, heads: heads.length, verdicts });
        if (court.voided.has(manifest)) {
          const isLaterOver = Object.entries(state.openEpochs).some(
            ([e, { over }]) => over && Number(e) > effect.epoch,
          );
          return isLaterOver
            ? answer({ type: "EpochComputed", key, epoch: effect.epoch, result: null })
            : fail("ROOT_VOIDED");
        }
        const late = Math.max(1, Math.ceil((seconds() + 3 - endOf(effect.epoch)) / POSTING_DELAY));
        if (state.pending[key] !== pending) return;
        computedFrom = verdicts;
        return answer({
          type: "EpochComputed",
          key,
          epoch: effect.epoch,
          result: {
            manifest,
            rewards: manifest,
            attestation: {
              kind: 1,
              modelId: facts.modelId,
              index: "1",
              fromEpoch: "1",
              toEpoch: String(effect.epoch),
              runId,
              head: heads.at(-1)!.head,
              epochDigest: manifest,
              previousRoot: roots.active?.root ?? zeroHash,
              root: manifest,
              total: "1",
              setVersion: 1,
              blockNumber: String(1 + court.fallen),
              blockHash: court.fallen === 0 ? zeroHash : digestOfJson({ fallen: court.fallen }),
              deadline: String(endOf(effect.epoch) + late * POSTING_DELAY + (faults && chance(0.05) ? 10 ** 9 : 0)),
            },
            validators,
            threshold: 2,
            postingDelay: POSTING_DELAY,
            verdicts,
          },
        });
      }
      case "postRoot": {
        if (away) return fail("CHAIN_UNREACHABLE");
        const record = state.epochs.findLast(({ epoch, state: at }) => epoch === effect.epoch && at === "collecting")!;
        const { attestation } = record.computed!;
        if (pendingRoot?.root !== attestation.root) {
          if (pendingRoot || Number(attestation.deadline) < seconds()) return fail("REFUSED", false);
          if (attestation.previousRoot !== (active?.root ?? zeroHash)) return fail("REFUSED", false);
          expect(record.signatures.length).toBeGreaterThanOrEqual(2);
          const signed = signedOf(attestation);
          if (court.ruled.has(signed)) return fail("ATTESTATION_RULED", false);
          court.failed.delete(attestation.root);
          expect(court.voided.has(attestation.root), `seed ${seed}: nor what the holders voted against`).toBe(false);
          pendingRoot = { epoch: effect.epoch, root: attestation.root, activatableAt: seconds() + WINDOW, signed };
          if (chance(0.4)) court.open();
        }
        return answer({ type: "RootPosted", ...pendingRoot, transaction: null });
      }
      case "activateRoot": {
        if (away) return fail("CHAIN_UNREACHABLE");
        if (active?.epoch !== effect.epoch) {
          if (pendingRoot?.epoch !== effect.epoch) return fail("NO_ROOT", false);
          if (court.isOpen) return fail("ROOT_DISPUTED");
          if (seconds() < pendingRoot.activatableAt) return fail("WINDOW_OPEN");
          earlier.push(active);
          active = pendingRoot;
          pendingRoot = undefined;
          everActive = Math.max(everActive, active.epoch);
        }
        return answer({ type: "RootActivated", epoch: active.epoch, root: active.root });
      }
    }
  }

  function verdict(): void {
    const entry = random.pick(state.heads);
    const value = String(random.below(3));
    const signed: SignedVerdict = {
      verdict: {
        runId,
        round: "0",
        head: entry.head,
        validator: random.pick(validators),
        kind: 1 + random.below(4),
        worker: addressOf(random.below(6)),
        index: 0,
        value,
        evidence: zeroHash,
        issuedAt: "1",
      },
      signature: `0x${"00".repeat(65)}`,
    };
    const count = Object.keys(state.verdicts).length;
    const accepted = offer({ type: "VerdictAccepted", verdict: signed });
    expect(Object.keys(state.verdicts).length).toBe(accepted ? count + 1 : count);
  }

  function attest(): void {
    const record = state.epochs.findLast(({ state: at }) => at === "collecting");
    if (!record?.computed) return;
    const { manifest, attestation } = record.computed;
    // They ask RPCs of their own.
    const { deadline, previousRoot } = attestation;
    if (
      Number(deadline) > seconds() + MAX_DEADLINE_DELAYS * POSTING_DELAY ||
      previousRoot !== (active?.root ?? zeroHash)
    )
      return;
    offer({
      type: "AttestationAccepted",
      epoch: record.epoch,
      epochDigest: manifest,
      validator: random.pick(validators),
      signature: "0x",
    });
  }

  /** The last blocks are gone. */
  function rewind(): void {
    const lost = random.below(Math.min(3, heads.length));
    // As deep as the journal goes, which is deeper than a development chain forgets.
    const oldest = Math.max(state.heads[0]!.sequence, holders.deepest);
    // Some come back at once, the holders' rollbacks among them, at another time.
    if (lost > 0 && chance(0.3)) {
      const first = Math.max(state.heads[0]!.sequence + 1, heads.length - lost);
      heads = heads.map((head) => (head.sequence < first ? head : { ...head, anchoredAt: seconds() }));
      return;
    }
    heads = heads.filter(({ sequence }) => sequence <= Math.max(oldest, heads.length - 1 - lost));
    if (pendingRoot && chance(0.5)) {
      pendingRoot = undefined;
      court.forget();
    } else if (active && !pendingRoot && chance(0.3)) {
      pendingRoot = { ...active, activatableAt: seconds() + 1 };
      active = earlier.pop();
    }
  }
  /** The RPC begins to lie about a root, or ends it. It knows what validators are asked to sign. */
  function lieOrNot(): void {
    const asked = state.epochs.findLast(({ state: at }) => at === "collecting")?.computed?.attestation;
    const epoch = 1 + random.below(epochAt(seconds()) + (chance(0.2) ? 1_000 : 0));
    const made = { epoch, root: digestOfJson({ lie: log.length }), activatableAt: seconds() };
    const root = asked && chance(0.3) ? { ...made, epoch: Number(asked.toEpoch), root: asked.root } : made;
    lie = Object.keys(lie).length === 0 ? { [chance(0.6) ? "active" : "pending"]: chance(0.8) ? root : undefined } : {};
  }
  /** chainWatch.ts, twice at once. */
  function watch(): void {
    if (away) return;
    const last = state.heads.findLast(({ anchor }) => anchor !== null)!;
    const head = heads.at(-1)!;
    if (head.sequence < last.sequence) offer({ type: "HeadReverted", head: head.head, sequence: head.sequence });
    const moved = movedHeads(state, heads);
    if (moved) offer(moved);
    if (pendingRoot && court.settle(pendingRoot)) pendingRoot = undefined;
    const roots = told();
    const covered = roots.active?.epoch ?? 0;
    if (covered > state.settledEpoch) offer({ type: "RootActivated", epoch: covered, root: roots.active!.root });
    const journal = state.epochs.findLast(
      ({ epoch, root, state: at }) =>
        (epoch > covered && (at === "posted" || at === "active")) ||
        (epoch === covered && at === "active" && root !== roots.active?.root),
    );
    const ruling = journal?.root && journal.state === "posted" ? court.failed.get(journal.root) : undefined;
    if (journal?.root && roots.pending?.root !== journal.root && ruling) {
      offer({ type: "RootFailed", epoch: journal.epoch, root: journal.root, ruling });
    } else if (journal?.root && (roots.pending?.root !== journal.root || journal.state === "active")) {
      offer({
        type: "RootReverted",
        epoch: journal.epoch,
        root: journal.root,
        settledEpoch: Math.min(covered, journal.epoch - 1),
      });
    }
    if (roots.pending && roots.pending.epoch > state.settledEpoch) {
      offer({ type: "RootPosted", ...roots.pending, transaction: null });
    }
  }

  function act(faults: boolean): void {
    const back = faults && goesBack ? holders.decide(state, heads, seconds()) : undefined;
    if (back && offer(back)) heads.push(...back.given.map((head) => ({ ...head, anchoredAt: seconds() })));
    const outstanding = state.current ? outstandingOf(state.current) : [];
    const dice = random.float();
    if (dice < 0.3) now += random.below(faults ? 4_000 : 1_500);
    else if (dice < 0.6) {
      const keys = [...running];
      if (keys.length > 0) perform(...random.pick(keys), faults);
    } else if (dice < 0.75) {
      const open = outstanding.filter(({ receipt }) => receipt === null);
      if (open.length > 0) submit(random.pick(open), !faults || chance(0.9));
    } else if (dice < 0.8) attest();
    else if (dice < 0.83) verdict();
    else if (dice < 0.86) join(random.below(faults ? 6 : 3));
    else if (!faults) watch();
    else if (dice < 0.88) offer({ type: "MemberLeft", worker: addressOf(random.below(6)), reason: "evicted" });
    else if (dice < 0.9) {
      const type = chance(0.5) ? "MemberSilent" : "MemberReturned";
      offer({ type, worker: addressOf(random.below(6)) });
    } else if (dice < 0.92) {
      const again = past[random.below(Math.max(1, past.length))];
      if (again && counted.has(again.receiptHash)) {
        expect(offer(again), `seed ${seed}: a receipt is accepted once`).toBe(false);
      }
    } else if (dice < 0.935) restart();
    else if (dice < 0.94) stepClock(random.below(7_200_000) - 3_600_000);
    else if (dice < 0.95) snapshot = { state: JSON.stringify(state), seq: log.length };
    else if (dice < 0.96) rewind();
    else if (dice < 0.967 && pendingRoot) court.open();
    else if (dice < 0.972) away = !away;
    else if (dice < 0.984) {
      if (chance(0.5)) lieOrNot();
      watch();
    } else if (dice < 0.992) {
      const by = chance(0.5) ? "operator" : "chain";
      offer({ type: state.pausedBy[by] ? "ResumeRequested" : "PauseRequested", by });
    } else {
      version += 1;
      const innerSteps = 2 * (1 + random.below(8));
      const change = { innerSteps, minWorkers: 1 + random.below(3), roundDeadline: 5 + random.below(30) };
      offer({ type: "ParamsChanged", version, params: runParamsToWire({ ...params, ...change }) });
    }
  }

  for (let i = 0; i < actions; i++) act(true);

  // Nothing fails any more: the run must go on by itself, anchor all, and settle.
  away = false;
  lie = {};
  stepClock(-set);
  for (const by of ["operator", "chain"] as const) offer({ type: "ResumeRequested", by });
  for (const worker of Object.keys(state.members)) offer({ type: "MemberReturned", worker: worker as Address });
  for (let i = 0; i < 3; i++) join(i);
  const [round, epoch] = [state.round, active?.epoch ?? 0];
  const done = (): boolean =>
    state.round >= round + 3 &&
    (active?.epoch ?? 0) > epoch &&
    state.settledEpoch === active?.epoch &&
    state.epochs.findLast(({ state: at }) => at === "active")?.root === active.root &&
    state.heads.slice(0, -3).every(({ anchor }) => anchor !== null);
  for (let i = 0; !done(); i++) {
    if (i > 5_000) {
      const { heads: journal, ...rest } = state;
      expect.fail(
        `seed ${seed}: the run does not go on: ${JSON.stringify({ phase: rest.phase, round, now: rest.round, epochs: rest.epochs.slice(-3), pending: rest.pending, settled: [epoch, rest.settledEpoch], unanchored: journal.filter(({ anchor }) => !anchor).length, chain: { active, pendingRoot, heads: heads.length } })}`,
      );
    }
    act(false);
  }
  offer({ type: "RunFinished" });
  for (let i = 0; state.phase !== "Finished"; i++) {
    if (i > 2_000) expect.fail(`seed ${seed}: the run does not end, it is ${state.phase} in round ${state.round}`);
    act(false);
  }
  restart();
  return { state, log, restarts, refused, reverts: state.reverts, disputes: court.fallen };
}
