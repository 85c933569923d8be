/**
 * validator: checks the coordinator from outside. It follows heads on-chain, recomputes the fragment of the aggregate that the
 * sortition gives it, measures held-out loss, and signs an epoch only if it computed the same. May import base, engine, diloco, data,
 * storage, service, chain and run, and @cotrain/sdk; never the coordinator or the worker. Start at runValidator.ts, the loop, and
 * at checks/index.ts, the table of what is checked; statements.ts says why it cannot contradict itself.
 */
export { type AggregateFinding, type AggregateCheckInput, checkAggregate } from "./checks/recompute.ts";
export { auditGate, type AuditFinding } from "./checks/gateAudit.ts";
export { boundClaims, type Claim, CLAIMS_PER_MEMBER, claimsOf } from "./claims.ts";
export type { ValidatorCoordinator } from "./context.ts";
export { validatorDaemon } from "./daemon.ts";
export { attestByHand } from "./journal.ts";
export { logEvent, type ValidatorEvent } from "./events.ts";
export { createLossMeter, type LossMeter, restAfter, sampleOf } from "./loss.ts";
export { LOSS_SHARE } from "./checks/turn.ts";
export { type MeasuredFor, readMeasuring } from "./measuring.ts";
export { runValidator } from "./runValidator.ts";
export { createHeadWatch, type HeadFinding, type HeadsLook } from "./watch/heads.ts";
export { createJudge, type Evidence, evidenceText, lookingThrough } from "./watch/judge.ts";
export { openWatchMemory, type WatchMemory } from "./watch/memory.ts";
export { anyOf, createNaming, namedRuns, untilEnded, type WhyUnnamed } from "./watch/sources.ts";
export { createWatch, type Watch, type WatchFinding } from "./watch/watch.ts";
export { birthOf, openStatements, statementMigrations, type StatementSchema } from "./statements.ts";
