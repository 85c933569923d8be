/** What lies on the disk: the state directory and its lock, where its blobs are, the database, the event log, durable jobs and keys. */
export * from "./blobs.ts";
export * from "./database.ts";
export type { Database } from "./databaseEngine.ts";
export * from "./diskGate.ts";
export * from "./eventLog.ts";
export { eventLogMigrations, type EventLogSchema, type EventRow } from "./eventTables.ts";
export * from "./jobRunner.ts";
export * from "./jobs.ts";
export * from "./heir.ts";
export * from "./keystore.ts";
export * from "./lock.ts";
export * from "./secrets.ts";
export * from "./signerLock.ts";
export type { Snapshot } from "./snapshots.ts";
export * from "./state.ts";
export * from "./stateFile.ts";
