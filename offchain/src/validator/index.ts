/**
 * validator: checks the coordinator from outside. It follows heads on-chain, recomputes the fragment of the aggregate that the
 * sortition gives it, measures held-out loss, and signs an epoch only if it computed the same. May import base, engine, diloco, data,
 * storage, service, chain and run, and @cotrain/sdk; never the coordinator or the worker. Start at runValidator.ts, the loop, and
 * at checks/index.ts, the table of what is checked; statements.ts says why it cannot contradict itself.
 */
export { type AggregateFinding, type AggregateInput, checkAggregate } from "./checks/recompute.ts";
export { type AttestModules, decide, type Decision } from "./attest.ts";
export { auditGate, type AuditFinding, type AuditModules } from "./checks/gateAudit.ts";
export { boundClaims, type Claim, CLAIMS_PER_MEMBER, claimsOf } from "./claims.ts";
export type { ValidatorCoordinator, ValidatorModules, ValidatorOptions } from "./context.ts";
export { validatorDaemon, type ValidatorDaemonOptions } from "./daemon.ts";
export { logEvent, type ValidatorEvent } from "./events.ts";
export { createLossMeter, type LossMeter, type LossRequest, type LossResult, restAfter, sampleOf } from "./loss.ts";
export { type Measuring, readMeasuring } from "./measuring.ts";
export { runValidator } from "./runValidator.ts";
export {
  openStatements,
  type Statement,
  statementMigrations,
  type Statements,
  type StatementSchema,
} from "./statements.ts";
