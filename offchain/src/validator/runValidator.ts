/**
 * The validator's loop: follows the heads on-chain, recomputes what sortition gives it, measures held-out loss, and signs
 * epochs that it could compute itself. It trusts the chain; whatever the coordinator gives is checked against it.
 */
import { availableParallelism } from "node:os";

import { CoordinatorError, CotrainError } from "@cotrain/sdk/errors";
import {
  asDigest,
  asRunId,
  type Address,
  Definition,
  type CoordinatorClient,
  digestOfJson,
  type Digest,
  domainFor,
  type EpochHead,
  type EpochView,
  HELD_OUT_SEQUENCES,
  type Hex,
  parseDocument,
  type RunId,
  type RunView,
  toWire,
  typedDataOf,
  type Verdict,
  verdictKind,
  type WireStruct,
} from "@cotrain/sdk/protocol";
import type { LocalAccount } from "viem";

import { type Clock, RetryableError, systemClock, UserError } from "../base/index.ts";
import {
  type ChainReader,
  endOfEpoch,
  epochAt,
  type ModelSchedule,
  type PostedHead,
  type RunRecord,
} from "../chain/index.ts";
import {
  type BlobSource,
  blamesByLoss,
  createHeadDocumentsCache,
  drawnBy,
  DocumentError,
  isNotHad,
  type Sortition,
  sortitionOf,
  readHeadDocuments,
  type RunDocuments,
  runDocuments,
  readJson,
  wasAdmitted,
} from "../run/index.ts";
import { PayloadError } from "../diloco/index.ts";
import { FormatError } from "../storage/index.ts";
import { type AggregateInput, checkAggregate } from "./aggregate.ts";
import { decide, isAgainst } from "./attest.ts";
import { auditGate } from "./audit.ts";
import { type Claim, createClaims, type Draw } from "./claims.ts";
import type { LossMeter, LossRequest } from "./loss.ts";
import type { Statement, Statements } from "./statements.ts";
import { createTurns, isResting, LOSS_SHARE } from "./turn.ts";

/** Tries of one measurement that fails for another reason than something being away. */
const MAX_FAILURES = 5;

/** Ms after which what did not come to a finding is tried again: an audit, or what is done in another's place. */
const AUDIT_AGAIN = 10_000;

/** Ms for which a document that is not there may come back, where posting delays are shorter: a restart, a store that is late. */
const LEAST_ABSENCE = 60_000;

/** Ms after which what a coordinator says that it does not have is gone: a 0 for it cannot be taken back. */
export const absenceOf = ({ postingDelay }: Pick<ModelSchedule, "postingDelay">): number =>
  Math.max(postingDelay * 1_000, LEAST_ABSENCE);

/** Ms at most between looks at what was refused, and at documents of heads that should long have been paid for. */
const MAX_LOOK_AGAIN = 60_000;
/** Heads whose documents are read again at one time, some ten requests each. */
const LOOKS_AGAIN = 8;
/** Of a document's absence one answer after another tells this part at most, however long after: it takes several. */
const GONE_PART = 1 / 4;

const NOBODY: Address = `0x${"0".repeat(40)}`;

export type ValidatorEvent =
  | {
      readonly type: "judged";
      readonly head: string;
      readonly round: number;
      readonly fragment: number;
      readonly holds: boolean;
      readonly reason: string;
    }
  | {
      readonly type: "measured";
      readonly head: string;
      readonly round: number;
      readonly microBitsPerByte: number;
      readonly sequences: number;
      /** Processor time of it, as a share of what the machine had meanwhile. */
      readonly share: number;
      /** The run does not train, and no bound holds for measuring. */
      readonly atRest: boolean;
    }
  /** The losses of a head's gate were measured and are those of its record. */
  | { readonly type: "audited"; readonly head: string; readonly round: number; readonly losses: number }
  /** What another validator drew of a head was found not to hold. */
  | {
      readonly type: "confirmed";
      readonly head: string;
      readonly round: number;
      readonly fragment: number;
      readonly drawer: Address;
      readonly reason: string;
    }
  | { readonly type: "attested"; readonly epoch: number; readonly root: string }
  | { readonly type: "refused"; readonly epoch: number; readonly reason: string }
  /** Nothing that this key signs counts for the model; said once for each version of its set. */
  | { readonly type: "not-a-member"; readonly validator: Address; readonly set: number }
  | { readonly type: "retrying"; readonly what: string; readonly reason: string }
  /** Others have not told yet what they drew, as happens in any epoch, or deny it: this validator looks as well. */
  | { readonly type: "looking"; readonly what: string; readonly reason: string };

export interface ValidatorOptions {
  readonly runId: RunId;
  readonly signal: AbortSignal;
  /** Ms between looks; default 1,000. */
  readonly pollInterval?: number;
  /** Ms that a validator which says nothing of its draw is waited for; default half of the model's posting delay. */
  readonly patience?: number;
  /** Ms after which what the coordinator says that it does not have counts as gone; default {@link absenceOf}. */
  readonly absence?: number;
}

export type ValidatorCoordinator = Pick<
  CoordinatorClient,
  "run" | "epochs" | "blob" | "verdicts" | "submitVerdict" | "submitAttestation"
>;

export interface ValidatorModules {
  readonly reader: ChainReader;
  readonly coordinator: ValidatorCoordinator;
  /** The protocol key. */
  readonly account: Pick<LocalAccount, "address" | "signTypedData">;
  readonly statements: Statements;
  /** Undefined measures nothing. */
  readonly loss?: LossMeter;
  readonly clock?: Clock;
  readonly onEvent?: (event: ValidatorEvent) => void;
  /** Called once, when the run was found on-chain and at the coordinator. */
  readonly onReady?: () => void;
}

/** A head with the one before it. */
interface Link {
  readonly head: PostedHead;
  readonly parent: PostedHead;
}

/** What of a run its heads are judged by. */
interface Described {
  readonly fragments: number;
  readonly definition: Definition;
  readonly digest: Digest;
}

/** A measurement that is on. */
interface Measuring {
  readonly of: "held-out loss" | "the gate";
  readonly controller: AbortController;
  readonly share: number | undefined;
}

/** What a verdict about an aggregate is made of. */
interface Finding {
  readonly holds: boolean;
  readonly reason: string;
  readonly evidence: Digest;
}

/** Of a head whose documents do not hold, or are gone. */
const findingOf = ({ head }: PostedHead, { message, code }: CotrainError): Finding => ({
  holds: false,
  reason: message,
  evidence: digestOfJson({ version: 1, head, reason: code }),
});

/** One manifest may be published under many attestations, of which one is right. */
const keyOf = ({ epoch, manifest, attestation }: EpochView): Digest => digestOfJson({ epoch, manifest, attestation });

/** A statement that the coordinator will not take whatever is tried. */
const settledAnswers = new Set(["DUPLICATE", "EQUIVOCATION"]);

/**
 * Runs until the signal aborts; whatever is away is waited for.
 * @throws UserError `RUN_FOREIGN` when the coordinator serves another run than the chain knows; the database's errors
 */
export async function runValidator(options: ValidatorOptions, modules: ValidatorModules): Promise<void> {
  const { runId, signal } = options;
  const { reader, coordinator, account, statements } = modules;
  const clock = modules.clock ?? systemClock;
  const poll = options.pollInterval ?? 2_000;
  const validator = account.address.toLowerCase() as Address;
  const emit = (event: ValidatorEvent): void => modules.onEvent?.(event);
  const verdictDomain = domainFor(reader.chainId, reader.contracts.runRegistry);
  const attestationDomain = domainFor(reader.chainId, reader.contracts.computeRewards);
  const blobs: BlobSource = { blob: (run, digest, limit) => coordinator.blob(run, digest, limit) };
  const documents = createHeadDocumentsCache(reader);

  /** Heads that have this validator's aggregate verdict, and the fragment that it drew of each. */
  const judged = new Map<string, number>();
  /** A block that was there at the last look: while it is, nothing before it has changed, the draws included. */
  let tip: { readonly block: number; readonly hash: Hex } | undefined;
  /** Attestations that were refused, by all that is published of each: when they are looked at again, monotonic ms. */
  const refusedEpochs = new Map<Digest, number>();
  /** Epoch manifests that would be signed if these heads had a verdict; told once. */
  const waiting = new Map<string, readonly EpochHead[]>();
  /** Epoch manifests that would be signed if these claims were settled. */
  const claimed = new Map<string, readonly Claim[]>();
  /** Heads that no active root covers, each with the one before. */
  const links = new Map<string, Link>();
  /** Runs whose heads are judged: this one, and others of the model while an epoch pays their heads too. */
  const followed = new Set<RunId>([runId]);
  /** What the engine measures now. */
  let measuring: Promise<void> | undefined;
  /** The measurement that is on, as soon as it is known: of what, how it is ended, and its share of the machine. */
  let current: Measuring | undefined;
  /** Whether an audit waits for the engine: until it has it, no measurement of held-out loss begins. */
  let auditWaits = false;
  /** When an audit without a finding is tried again, by head and fragment. */
  const auditAgain = new Map<string, number>();
  /** Heads whose gate this validator measured and found true. */
  const soundGates = new Set<string>();
  /** How long what a head's verdict needs has been said not to be there, by head and part: ms in all, and when last, monotonic ms. */
  const gone = new Map<string, Map<string, { readonly total: number; readonly at: number }>>();
  /** When documents of heads that should long have been paid for are looked at again. */
  let lookAgainAt = 0;
  /** When the documents of a head were looked at again, monotonic ms. */
  const lookedAt = new Map<Hex, number>();
  const lastLook = ({ head }: Link): number => lookedAt.get(head.head) ?? 0;
  let complained: number | undefined;

  const issue = async (verdict: Verdict): Promise<Statement<WireStruct<"Verdict">>> => {
    const statement = await statements.verdict(toWire("Verdict", verdict), () =>
      account.signTypedData(typedDataOf(verdictDomain, "Verdict", verdict)),
    );
    return statement;
  };
  const about = (head: PostedHead, fields: Pick<Verdict, "kind" | "index" | "value" | "evidence">): Verdict => ({
    runId: head.runId,
    // Checkpoint 0 has no round that led to it.
    round: BigInt(Math.max(0, head.round - 1)),
    head: head.head,
    validator,
    worker: NOBODY,
    issuedAt: BigInt(clock.now()),
    ...fields,
  });

  const description = await patiently("finding the run", async () => {
    const [run, view] = await Promise.all([reader.run(runId), coordinator.run(runId)]);
    if (view.definition !== run.definition || view.modelId !== run.modelId)
      throw new UserError(
        "RUN_FOREIGN",
        `The coordinator serves run ${runId} with another definition or model than the chain.`,
      );
    return { run, definition: await readDefinition(run), schedule: await reader.schedule(run.modelId) };
  });
  const { run, definition, schedule } = description;
  const { modelId } = run;
  const described = new Map<RunId, Described>([
    [runId, { fragments: run.fragments, definition, digest: run.definition }],
  ]);
  const patience = options.patience ?? schedule.postingDelay * 500;
  const absence = options.absence ?? absenceOf(schedule);
  const claims = createClaims({
    reader,
    clock,
    patience,
    measures: modules.loss !== undefined,
    verdicts: async () => (await coordinator.verdicts(runId)).verdicts,
    sortitionOf: sortitionOfPaid,
    examine: (claim, draw) =>
      attempt(`checkpoint ${claim.head.round}, in ${claim.by}'s place`, () => stepIn(claim, draw)),
  });
  modules.onReady?.();

  async function readDefinition(of: Pick<RunRecord, "runId" | "definition">): Promise<Definition> {
    return parseDocument("definition", Definition, await readJson(blobs, of.runId, of.definition, "the definition"));
  }

  async function describe(id: RunId): Promise<Described> {
    const known = described.get(id);
    if (known) return known;
    const record = await reader.run(id);
    const found = {
      fragments: record.fragments,
      definition: await readDefinition(record),
      digest: record.definition,
    };
    described.set(id, found);
    return found;
  }

  /** Tries until it succeeds; only a mistake that waiting cannot mend ends it. */
  async function patiently<T>(what: string, work: () => Promise<T>): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof CotrainError) || !error.retryable) throw error;
        emit({ type: "retrying", what, reason: error.message });
        await clock.sleep(poll, signal);
      }
    }
  }

  /** Sends what the coordinator has not taken yet. */
  async function deliver(open: ReadonlySet<string>): Promise<void> {
    for (const { key, struct, signature } of await statements.unsent()) {
      if (struct.runId !== runId) continue;
      try {
        await coordinator.submitVerdict(runId, {
          verdict: struct,
          signature,
        });
      } catch (error) {
        if (!(error instanceof CoordinatorError)) throw error;
        if (error.retryable) throw error;
        // Said about a fragment that was drawn before the chain went back, and may be drawn again when it goes on.
        if (error.code === "NOT_DRAWN" && open.has(struct.head)) continue;
        // What is about a head whose epoch is settled is of no use to anybody any more.
        if (!settledAnswers.has(error.code) && open.has(struct.head)) {
          emit({ type: "retrying", what: `verdict ${key}`, reason: error.message });
          continue;
        }
      }
      await statements.accepted(key);
    }
  }

  /** The drawn fragment of one head, unless the block that decides the sortition is still to come. */
  async function judge(head: PostedHead, parent: PostedHead): Promise<void> {
    const of = await describe(head.runId);
    const sortition = await sortitionOf(reader, head, sortitionRulesOf(of));
    if (!sortition) return;
    const fragment = sortition.fragmentOf(validator);
    const said = (await statements.about(head.head)).find(
      ({ struct }) => struct.kind === verdictKind.aggregate && struct.index === fragment,
    );
    if (said) {
      judged.set(head.head, fragment);
      if (said.struct.value !== "0") claims.found(head.head, { fragment, gate: false });
      return;
    }
    const draw = { fragment, gate: modules.loss !== undefined && sortition.auditsGate(validator) };
    await examine(head, parent, draw, async (finding) => {
      // The chain may have gone back meanwhile.
      if ((await drawnBy(reader, head, validator, of.fragments)) === fragment) await conclude(head, draw, finding);
    });
  }

  /**
   * What was judged may lose its documents afterwards, and nobody could compute its epoch any more, nor a later one: of heads that
   * no root covers a whole posting delay after their epoch, who said that they hold looks whether the documents are there.
   */
  async function lookAgain(settled: number, members: readonly Address[]): Promise<void> {
    if (judged.size === 0 || clock.monotonic() < lookAgainAt) return;
    lookAgainAt = clock.monotonic() + Math.min(MAX_LOOK_AGAIN, absence / 4);
    const [pending, now] = await Promise.all([reader.pendingRoot(modelId), reader.chainTime()]);
    if (pending) return;
    for (const known of lookedAt.keys()) if (!links.has(known)) lookedAt.delete(known);
    const overdue = [...links.values()].filter(({ head }) => {
      const epoch = epochAt(schedule, head.anchoredAt);
      return judged.has(head.head) && epoch > settled && now >= endOfEpoch(schedule, epoch) + schedule.postingDelay;
    });
    // Each in its turn, whatever is said of it; of what it has denied there is no more to say, and it takes no place.
    const ofRuns = new Map<RunId, RunDocuments>();
    let places = LOOKS_AGAIN;
    for (const link of overdue.toSorted((a, b) => lastLook(a) - lastLook(b))) {
      if (places === 0) return;
      const { head, round, runId: id } = link.head;
      const said = await statements.about(head);
      if (said.some(({ struct }) => struct.validator === validator && isAgainst(struct))) continue;
      places -= 1;
      lookedAt.set(head, clock.monotonic());
      const ofRun = ofRuns.get(id) ?? runDocuments(reader, blobs, id);
      ofRuns.set(id, ofRun);
      await attempt(`documents of checkpoint ${round}`, () => requireDocuments(link, members, ofRun));
    }
  }

  async function requireDocuments(
    { head, parent }: Link,
    members: readonly Address[],
    ofRun: RunDocuments,
  ): Promise<void> {
    try {
      await readHeadDocuments(reader, blobs, head, parent, ofRun);
      gone.get(head.head)?.delete("documents");
    } catch (error) {
      if (!isGoneForGood(head, "documents", error)) throw error;
      // Its own draw it has spoken about; that of any other does not hold either.
      const drawer = members.find((member) => member !== validator);
      const sortition = await sortitionOf(reader, head, sortitionRulesOf(await describe(head.runId)));
      if (drawer && sortition) await deny(head, sortition.fragmentOf(drawer), drawer, findingOf(head, error));
    }
  }

  const sortitionRulesOf = ({ fragments, definition: { screening } }: Described) => ({
    fragments,
    oneIn: screening.auditOneIn,
  });

  async function sortitionOfPaid({ head }: Pick<EpochHead, "head">): Promise<Sortition | undefined> {
    const link = links.get(head);
    return link && sortitionOf(reader, link.head, sortitionRulesOf(await describe(link.head.runId)));
  }

  /** Looks at what another validator drew, and says so if it does not hold either. */
  async function stepIn({ head: { head: name }, drawer }: Claim, draw: Draw): Promise<void> {
    const link = links.get(name);
    if (!link) return;
    const { head, parent } = link;
    const key = `${name}/${draw.fragment}`;
    if (clock.monotonic() < (auditAgain.get(key) ?? 0)) return;
    const report = async ({ holds, reason, evidence: found }: Finding): Promise<void> => {
      auditAgain.delete(key);
      if (holds) return claims.found(name, draw);
      await deny(head, draw.fragment, drawer, { holds, reason, evidence: found });
    };
    try {
      await examine(head, parent, draw, report);
    } catch (error) {
      auditAgain.set(key, clock.monotonic() + Math.min(AUDIT_AGAIN, patience));
      throw error;
    }
  }

  /** Says that what another validator drew does not hold. */
  async function deny(head: PostedHead, fragment: number, drawer: Address, finding: Finding): Promise<void> {
    const said = { kind: verdictKind.confirmation, index: fragment, value: 0n, evidence: finding.evidence };
    await issue({ ...about(head, said), worker: drawer });
    // What would be signed is decided anew: it is refused now.
    claimed.clear();
    emit({ type: "confirmed", head: head.head, round: head.round, fragment, drawer, reason: finding.reason });
  }

  /** The engine measures one thing at a time: what is not examined now is examined at a later look. */
  async function examine(
    head: PostedHead,
    parent: PostedHead,
    { fragment, gate }: Draw,
    report: (finding: Finding) => Promise<void>,
  ): Promise<void> {
    const of = await describe(head.runId);
    const { loss } = modules;
    // What documents are gone or wrong, `inspect` says.
    const leaves = loss && (await documents.read(blobs, head, parent).catch(() => undefined))?.leaves;
    const due = gate || (leaves !== undefined && blamesByLoss(leaves));
    if (!loss || !due || soundGates.has(head.head)) return report(await inspect(head, parent, of, fragment));
    const key = `${head.head}/${fragment}`;
    if (clock.monotonic() < (auditAgain.get(key) ?? 0)) return;
    // Held-out loss can wait.
    if (measuring) {
      auditWaits = true;
      if (current?.of === "held-out loss")
        current.controller.abort(new RetryableError("AUDIT_FIRST", "The loss gate's audit comes first."));
      return;
    }
    const controller = new AbortController();
    const audit = (input: AggregateInput): Promise<Finding> => auditOf(loss, of, input, controller);
    measuring = inspect(head, parent, of, fragment, audit)
      .then(report)
      .catch((error: unknown) => {
        if (signal.aborted || controller.signal.aborted) return;
        auditAgain.set(key, clock.monotonic() + AUDIT_AGAIN);
        const reason = error instanceof Error ? error.message : String(error);
        emit({ type: "retrying", what: `the loss gate of checkpoint ${head.round}, not judged yet`, reason });
      })
      .finally(() => {
        measuring = undefined;
        current = undefined;
      });
  }

  /** @throws what says that there is no finding yet */
  async function inspect(
    head: PostedHead,
    parent: PostedHead,
    of: Described,
    fragment: number,
    audit?: (input: AggregateInput) => Promise<Finding>,
  ): Promise<Finding> {
    try {
      const found = await documents.read(blobs, head, parent);
      // Where losses of the gate took somebody's pay, whoever can measure them does, drawn or not.
      if (modules.loss && !audit && blamesByLoss(found.leaves) && !soundGates.has(head.head))
        throw new RetryableError(
          "AUDIT_DUE",
          `The losses of checkpoint ${head.round}'s gate are to be measured first.`,
        );
      const params = await reader.paramsOf(head.runId, head.paramsVersion);
      const heads = await reader.headsSince(head.runId, 0);
      const { definition: rules } = of;
      const at = heads.findIndex((each) => each.head === head.head);
      if (at < 0) throw new RetryableError("CHAIN_MOVED", `The chain holds checkpoint ${head.round} no more.`);
      const before = heads.slice(0, at);
      const admitted = (build: string): Promise<boolean> => wasAdmitted(reader, head.runId, build);
      const input = { head, parent, before, documents: found, definition: rules, params, admitted, fragment };
      const finding = await checkAggregate(blobs, input);
      const audited = finding.holds ? await audit?.(input) : undefined;
      gone.get(head.head)?.delete(`fragment ${fragment}`);
      return audited && !audited.holds ? audited : finding;
    } catch (error) {
      // What is there and wrong is the poster's doing; what is not there may come yet, but nobody's pay waits for it for ever.
      const wrong = error instanceof DocumentError || error instanceof FormatError || error instanceof PayloadError;
      if (!wrong && !isGoneForGood(head, `fragment ${fragment}`, error)) throw error;
      return findingOf(head, error);
    }
  }

  /**
   * Whether what a head's verdict needs was said not to be there for as long as is waited. Answers that say nothing about it, such
   * as of a node or a coordinator that is away or busy, neither count nor begin it anew: who gives them now and then would never
   * be spoken against. Nor does it that something else of the head is there.
   * @param part of what a head's verdict needs: its documents alone, or with the payloads of a fragment
   */
  function isGoneForGood({ head }: PostedHead, part: string, error: unknown): error is CotrainError {
    if (!isNotHad(error)) return false;
    const at = clock.monotonic();
    const parts = gone.get(head) ?? new Map<string, { readonly total: number; readonly at: number }>();
    const before = parts.get(part);
    const total = before ? before.total + Math.min(at - before.at, absence * GONE_PART) : 0;
    gone.set(head, parts.set(part, { total, at }));
    return total >= absence;
  }

  /** Measures a head's gate again, within the share that measuring may take while the run trains. */
  async function auditOf(
    loss: LossMeter,
    of: Described,
    input: AggregateInput,
    controller: AbortController,
  ): Promise<Finding> {
    const { head } = input;
    const { phase } = await coordinator.run(runId);
    const share = isResting({ phase }) ? undefined : LOSS_SHARE;
    const until = AbortSignal.any([signal, controller.signal]);
    current = { of: "the gate", controller, share };
    const origin = { runId: head.runId, definition: of.digest };
    const { problem, losses, ...found } = await auditGate(
      {
        blobs,
        measure: async (checkpoint, { build, sequences }) => {
          const request = { ...origin, build: asDigest(build), checkpoint, sequences, share };
          return (await loss.measure(request, until)).microBitsPerByte;
        },
        conformance: (build) => loss.conformance({ ...origin, build }, until),
      },
      input,
    );
    if (problem === "") {
      soundGates.add(head.head);
      emit({ type: "audited", head: head.head, round: head.round, losses });
    }
    return { holds: problem === "", reason: problem, evidence: found.evidence };
  }

  async function conclude(head: PostedHead, draw: Draw, finding: Finding): Promise<void> {
    const { fragment } = draw;
    const { holds, reason } = finding;
    await issue(
      about(head, {
        kind: verdictKind.aggregate,
        index: fragment,
        value: holds ? 10_000n : 0n,
        evidence: finding.evidence,
      }),
    );
    judged.set(head.head, fragment);
    auditAgain.delete(`${head.head}/${fragment}`);
    if (holds) claims.found(head.head, draw);
    emit({ type: "judged", head: head.head, round: head.round, fragment, holds, reason });
  }

  /** Held-out loss of one head. The sample's size is the verdict's index: another size is another statement. */
  async function measure(
    loss: LossMeter,
    head: PostedHead,
    build: Digest,
    { sequences, share }: Pick<LossRequest, "sequences" | "share">,
    until: AbortSignal,
  ): Promise<void> {
    const result = await loss.measure(
      { runId, definition: run.definition, build, checkpoint: head.checkpointDigest, sequences, share },
      until,
    );
    await issue(
      about(head, {
        kind: verdictKind.loss,
        index: result.sequences,
        value: BigInt(result.microBitsPerByte),
        evidence: digestOfJson({ version: 1, head: head.head, build, sequences: result.sequences }),
      }),
    );
    emit({
      type: "measured",
      head: head.head,
      round: head.round,
      microBitsPerByte: result.microBitsPerByte,
      sequences: result.sequences,
      share: result.cpu / Math.max(1, result.elapsed * availableParallelism()),
      atRest: share === undefined,
    });
  }

  /** What was measured or tried, by head and size of the sample. */
  const measured = new Set<string>();
  const failures = new Map<string, number>();
  const turns = createTurns(validator, clock);
  function measureNext(heads: readonly PostedHead[], view: RunView, members: readonly Address[]): void {
    const { loss } = modules;
    const build = view.builds[0];
    if (!loss || measuring || !build) return;
    const next = turns.next(heads, view, members, measured);
    if (!next) return;
    const { head, sequences, key } = next;
    const controller = new AbortController();
    current = { of: "held-out loss", controller, share: next.share };
    measuring = (async () => {
      const known = (await statements.about(head.head)).filter(({ struct }) => struct.kind === verdictKind.loss);
      // A split may hold fewer sequences than asked for: then the one measurement stands for both.
      if (
        known.some(
          ({ struct }) => struct.index > HELD_OUT_SEQUENCES.running || sequences === HELD_OUT_SEQUENCES.running,
        )
      )
        return;
      if (!(await reader.isAdmitted(runId, asDigest(build)))) return;
      await measure(loss, head, asDigest(build), next, AbortSignal.any([signal, controller.signal]));
    })()
      .then(
        () => void measured.add(key),
        (error: unknown) => {
          if (signal.aborted || controller.signal.aborted) return;
          failures.set(key, (failures.get(key) ?? 0) + 1);
          // What cannot be measured is left after some tries; the next head may be measurable.
          if ((failures.get(key) ?? 0) >= MAX_FAILURES && !(error instanceof CotrainError && error.retryable))
            measured.add(key);
          emit({
            type: "retrying",
            what: `loss of checkpoint ${head.round}`,
            reason: error instanceof Error ? error.message : String(error),
          });
        },
      )
      .finally(() => {
        measuring = undefined;
        current = undefined;
      });
  }

  async function attest(view: EpochView): Promise<void> {
    if (view.state !== "collecting" || clock.monotonic() < (refusedEpochs.get(keyOf(view)) ?? 0)) return;
    if (view.signatures.some((signature) => signature.validator === validator)) return;
    const unjudged = waiting.get(view.manifest)?.filter(({ head }) => !judged.has(head)) ?? [];
    // Nothing was learnt since: to compute it again would end the same.
    if (unjudged.length > 0) return wait(view, unjudged);
    const open = claimed.get(view.manifest);
    if (open && (await settle(view, open))) return;
    const wire = view.attestation;
    let statement = await statements.knownAttestation(wire);
    if (statement?.struct.epochDigest !== wire.epochDigest) {
      const decision = await decide(
        {
          reader,
          blobs,
          documents,
          validator,
          verdictsAbout: (head) => statements.about(head),
          drawn: (head) => judged.get(head),
          sortitionOf: sortitionOfPaid,
        },
        modelId,
        runId,
        view,
      );
      if (decision.kind === "refuse") {
        refuse(view, decision.reason);
        return;
      }
      if (decision.kind === "wait") return wait(view, decision.unjudged);
      if (!open && (await settle(view, decision.claims))) return;
      const { attestation } = decision;
      statement = await statements.attestation(toWire("Attestation", attestation), () =>
        account.signTypedData(typedDataOf(attestationDomain, "Attestation", attestation)),
      );
    }
    await coordinator.submitAttestation(runId, view.epoch, {
      epochDigest: wire.epochDigest,
      validator,
      signature: statement.signature,
    });
    emit({ type: "attested", epoch: view.epoch, root: wire.root });
  }

  /** Signs nothing for a while: what it was held against may have come from a node that lags. Said once. */
  function refuse(view: EpochView, reason: string): void {
    const key = keyOf(view);
    if (!refusedEpochs.has(key)) emit({ type: "refused", epoch: view.epoch, reason });
    refusedEpochs.set(key, clock.monotonic() + Math.min(MAX_LOOK_AGAIN, absence / 4));
  }

  /** Leaves a manifest for a later look, when the heads that it pays have this validator's verdicts. */
  function wait({ epoch, manifest }: EpochView, unjudged: readonly EpochHead[]): void {
    if (!waiting.has(manifest)) {
      const rounds = unjudged.map(({ round }) => round).join(", ");
      const reason = `It pays checkpoints that this validator has not judged yet (${rounds}); it is signed when they are.`;
      emit({ type: "retrying", what: `epoch ${epoch}`, reason });
    }
    waiting.set(manifest, unjudged);
    for (const head of unjudged) followed.add(asRunId(head.runId));
  }

  /** Looks at what others deny or are silent about. @returns whether the manifest is left for a later look */
  async function settle({ epoch, manifest }: EpochView, before: readonly Claim[]): Promise<boolean> {
    const told = claimed.has(manifest);
    claimed.set(manifest, before);
    const open = await claims.settle(before);
    // Something was found that does not hold.
    if (!claimed.has(manifest)) return true;
    claimed.set(manifest, open);
    if (open.length === 0) return false;
    const rounds = [...new Set(open.map(({ head }) => head.round))].join(", ");
    const reason = `Others deny what they drew of these checkpoints that it pays, or have not told of it yet: ${rounds}. It is signed when this validator has looked in their place.`;
    if (!told) emit({ type: "looking", what: `epoch ${epoch}`, reason });
    return true;
  }

  async function attestOrRefuse(view: EpochView): Promise<void> {
    try {
      await attest(view);
    } catch (error) {
      // An active root covers it by now; or another value was signed before, which stands.
      const final = ["EPOCH_SUPERSEDED", "EQUIVOCATION_REFUSED"];
      if (!(error instanceof CotrainError) || !(final.includes(error.code) || error instanceof DocumentError))
        throw error;
      refuse(view, error.message);
    }
  }

  /** One thing that fails must not keep the others from being done. */
  async function attempt(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (signal.aborted) throw error;
      if (!(error instanceof CotrainError)) throw error;
      emit({ type: "retrying", what, reason: error.message });
    }
  }

  /**
   * Judges what is open in a run.
   * @returns its heads in epochs that no active root covers
   */
  async function judgeOpen(heads: readonly PostedHead[], settled: number): Promise<string[]> {
    const open: string[] = [];
    for (const [i, head] of heads.entries()) {
      // Payloads of settled epochs are gone, and their verdicts count no more.
      if (epochAt(schedule, head.anchoredAt) <= settled) continue;
      open.push(head.head);
      const parent = heads[i - 1];
      if (parent) links.set(head.head, { head, parent });
      if (parent && !judged.has(head.head)) await attempt(`checkpoint ${head.round}`, () => judge(head, parent));
    }
    return open;
  }

  /** Forgets what was drawn when the chain lost a block: other blocks draw others. */
  async function watchTip(): Promise<void> {
    const newest = await reader.tip();
    const follows = tip && (newest.hash === tip.hash || newest.parentHash === tip.hash);
    if (tip && !follows && (await reader.blockHash(tip.block)) !== tip.hash) judged.clear();
    tip = newest;
  }

  async function look(): Promise<void> {
    await watchTip();
    const [heads, active, set] = await Promise.all([
      reader.headsSince(runId, 0),
      reader.activeRoot(modelId),
      reader.validators(modelId),
    ]);
    if (!set.validators.includes(validator)) {
      // Nobody counts what an outsider signs, and a set may take it in later.
      if (complained !== set.version) emit({ type: "not-a-member", validator, set: set.version });
      complained = set.version;
      return;
    }
    const settled = active?.epoch ?? 0;
    links.clear();
    const open = new Set(await judgeOpen(heads, settled));
    for (const id of followed) {
      if (id === runId) continue;
      const others = await judgeOpen(await reader.headsSince(id, 0), settled);
      if (others.length === 0) followed.delete(id);
    }
    claims.keep(new Set(links.keys()));
    for (const known of [gone, soundGates]) for (const head of known.keys()) if (!links.has(head)) known.delete(head);
    // The run's state says what to measure; who measures nothing, or audits, need not ask.
    if (modules.loss && (measuring ? current?.share !== undefined : !auditWaits)) {
      const view = await coordinator.run(runId);
      if (!measuring && !auditWaits) measureNext(heads, view, set.validators);
      // What keeps to a share is begun anew without one: others may leave it next to nothing, and the session waits for it.
      else if (isResting(view) && current?.share !== undefined)
        current.controller.abort(new RetryableError("AT_REST", "The run rests now."));
    }
    // What waits from here on, waits for the next look.
    auditWaits = false;
    await attempt("sending verdicts", () => deliver(open));

    const { epochs } = await coordinator.epochs(runId);
    for (const epoch of epochs) await attempt(`epoch ${epoch.epoch}`, () => attestOrRefuse(epoch));
    // After all that others wait for: a long list of what is overdue must not use up what may be asked in a minute.
    await attempt("looking at documents again", () => lookAgain(settled, set.validators));
    const keys = new Set(epochs.map(keyOf));
    for (const key of refusedEpochs.keys()) if (!keys.has(key)) refusedEpochs.delete(key);
    for (const manifest of claimed.keys())
      if (!epochs.some((epoch) => epoch.manifest === manifest)) claimed.delete(manifest);
  }

  try {
    for (;;) {
      await attempt("looking at the run", look);
      await clock.sleep(poll, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await measuring;
  }
}
