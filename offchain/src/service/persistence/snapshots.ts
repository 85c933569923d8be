/** States that were derived from a log's events and are kept, so that not all events are read at every start. */
import type { Kysely } from "kysely";

import { canonicalJson, type Digest } from "@cotrain/sdk/protocol";
import { InternalError, sha256Bytes } from "../../base/index.ts";
import type { Queryable } from "./database.ts";
import { type EventLogSchema, hashAt } from "./eventTables.ts";

const SNAPSHOTS_KEPT = 2;

export interface Snapshot<S> {
  /** The last event that the state includes. */
  readonly seq: number;
  readonly logicVersion: number;
  /** Hash of that event. */
  readonly hash: Digest;
  readonly state: S;
  /** sha256 of the state's canonical JSON. */
  readonly digest: Digest;
}

export async function writeSnapshot(
  queryable: Queryable<EventLogSchema>,
  runId: string,
  { seq, logicVersion, state }: Pick<Snapshot<unknown>, "seq" | "logicVersion" | "state">,
): Promise<void> {
  const hash = await hashAt(queryable, runId, seq);
  if (hash === undefined)
    throw new InternalError("SNAPSHOT_WITHOUT_EVENT", `Run ${runId} has no event ${seq} for a snapshot to stand on.`);
  const json = canonicalJson(state);
  const row = { hash, json, digest: sha256Bytes(Buffer.from(json)) };
  await queryable
    .insertInto("snapshots")
    .values({ run_id: runId, seq, logic_version: logicVersion, ...row })
    .onConflict((conflict) => conflict.columns(["run_id", "seq", "logic_version"]).doUpdateSet(row))
    .execute();
  const isAlike = { run_id: runId, logic_version: logicVersion };
  await queryable
    .deleteFrom("snapshots")
    .where((eb) => eb.and(isAlike))
    .where("seq", "not in", (eb) =>
      eb
        .selectFrom("snapshots")
        .select("seq")
        .where((of) => of.and(isAlike))
        .orderBy("seq", "desc")
        .limit(SNAPSHOTS_KEPT),
    )
    .execute();
}

/** @param corrupted makes the error for a snapshot that matches its digest or the log no more */
export async function readLatestSnapshot<S>(
  db: Kysely<EventLogSchema>,
  runId: string,
  corrupted: (seq: number, what: string) => Error,
  logicVersion?: number,
): Promise<Snapshot<S> | undefined> {
  let query = db.selectFrom("snapshots").selectAll().where("run_id", "=", runId);
  if (logicVersion !== undefined) query = query.where("logic_version", "=", logicVersion);
  const row = await query.orderBy("seq", "desc").orderBy("logic_version", "desc").limit(1).executeTakeFirst();
  if (!row) return undefined;
  const seq = row.seq;
  if (sha256Bytes(Buffer.from(row.json)) !== row.digest) throw corrupted(seq, "its snapshot does not match its digest");
  if ((await hashAt(db, runId, seq)) !== row.hash) throw corrupted(seq, "its snapshot belongs to another history");
  return {
    seq,
    logicVersion: row.logic_version,
    hash: row.hash,
    state: JSON.parse(row.json) as S,
    digest: row.digest,
  };
}
