/**
 * The logics that this tree knows, by version. The rule: only the logic that wrote an event applies it. If an older logic wrote a
 * log's last events, that logic replays the log to its end. The resulting state is kept as a snapshot; the present logic continues
 * from it and writes from there on.
 *
 * When a decision changes after a release, raise LOGIC_VERSION; until the first, the newest may change. If states or logs of the
 * version before are to stay usable, copy `machine/` without this file to `machine/vN` (its imports of other rooms lead one folder
 * further out), list its step below, and say in `continues` how its state becomes one of the present logic (the identity if the form
 * is the same). `npm run fixture` then keeps a state of the present logic beside those of earlier ones. A test requires that all of
 * them open; `continues` is empty where there is none. Until a released logic has a successor, the test's own older logic
 * (test/fixtures/older) goes this way with a log that it left. Remove `machine/vN` when no log that ends in its events is left; a
 * log that was stopped in order ends in a snapshot and needs only `continues`. A change of what is signed or published raises
 * STATE_VERSION of the state directory instead, which refuses older state as a whole.
 */
import { UserError } from "../../base/index.ts";
import { freshCommand } from "../../base/node/index.ts";
import type { EventRow, Snapshot } from "../../service/index.ts";
import type { RunEvent } from "./events.ts";
import { EVENT_SCHEMA_VERSION, LOGIC_VERSION, step } from "./machine.ts";
import type { RunState } from "./state.ts";

/** How one version decides. States of versions other than the present one are opaque to all but their own logic. */
export interface Logic {
  /** Version of the events' form that it reads. */
  readonly schemaVersion: number;
  readonly step: (state: RunState | null, event: RunEvent) => { readonly state: RunState };
  /** By the version of another logic that left a snapshot: that state as one of this logic. */
  readonly continues: Readonly<Record<number, (state: RunState) => RunState>>;
}

export interface Logics {
  /** The version that writes. */
  readonly present: number;
  readonly known: Readonly<Record<number, Logic>>;
}

export const logics: Logics = {
  present: LOGIC_VERSION,
  known: { [LOGIC_VERSION]: { schemaVersion: EVENT_SCHEMA_VERSION, step, continues: {} } },
};

/** How far a log has come, and which logic brought it there. */
export interface Replayed {
  readonly state: RunState;
  readonly seq: number;
  readonly logicVersion: number;
}

/** Which log, for a sentence. */
type NamedLog = Pick<ReadableLog, "runId" | "file">;

interface ReadableLog {
  readonly runId: string;
  readonly file: string;
  read(afterSeq?: number): AsyncGenerator<EventRow<RunEvent>, void, undefined>;
  latestSnapshot<S>(): Promise<Snapshot<S> | undefined>;
}

/**
 * The state that a log gives, each event applied by its writer's logic. Null when the log is empty.
 * @throws UserError LOGIC_VERSION when a logic that is needed is not known here
 */
export async function replay(log: ReadableLog, known: Logics = logics): Promise<Replayed | null> {
  const snapshot = await log.latestSnapshot<RunState>();
  let reached: Replayed | null = snapshot
    ? { state: snapshot.state, seq: snapshot.seq, logicVersion: snapshot.logicVersion }
    : null;
  for await (const row of log.read(reached?.seq ?? 0)) {
    const logic = known.known[row.logicVersion];
    if (!logic || logic.schemaVersion !== row.schemaVersion) throw unknownLogic(log, row.logicVersion, known);
    const before: RunState | null = reached && continued(log, reached, row.logicVersion, known);
    reached = { state: logic.step(before, row.event).state, seq: row.seq, logicVersion: row.logicVersion };
  }
  return reached;
}

/**
 * The state under another logic than the one that brought it about.
 * @throws UserError LOGIC_VERSION when that logic cannot continue it
 */
export function continued(log: NamedLog, reached: Replayed, version: number, known: Logics = logics): RunState {
  if (reached.logicVersion === version) return reached.state;
  const convert = known.known[version]?.continues[reached.logicVersion];
  if (!convert) throw unknownLogic(log, reached.logicVersion, known);
  return convert(reached.state);
}

function unknownLogic({ runId, file }: NamedLog, found: number, { present, known }: Logics): UserError {
  const supported = [...new Set([...Object.keys(known), ...Object.keys(known[present]?.continues ?? {})])];
  return new UserError(
    "LOGIC_VERSION",
    `The log of run ${runId} was written by logic version ${found}, which this Cotrain cannot go on with (it knows ${supported.join(", ")}): use the Cotrain that wrote it, or put the state aside with "${freshCommand(file)}".`,
    { details: { runId, found, supported: supported.join() } },
  );
}
