/**
 * coordinator: runs rounds. A pure state machine over an event log (machine/), a driver that is its single writer, effects
 * (rounds.ts, settlement.ts), and the HTTP API as a Fastify plugin. May import base, diloco, data, storage, service, chain
 * and @cotrain/sdk/{errors,protocol}. Start at machine/machine.ts, then driver.ts, then api.ts.
 */
export {
  type Coordinator,
  type CoordinatorModules,
  type CoordinatorOptions,
  createCoordinator,
  defaultPresence,
} from "./coordinator.ts";
export { type ApiCode, RefusedError, statusByCode } from "./errors.ts";
export { createGateMeter, type GateMeter } from "./gateMeter.ts";
export { EVENT_SCHEMA_VERSION, LOGIC_VERSION, step } from "./machine/machine.ts";
export type { Effect, EffectKind } from "./machine/effects.ts";
export type { RunEvent } from "./machine/events.ts";
export type { RunState } from "./machine/state.ts";
export type { PresenceOptions } from "./presence.ts";
export { coordinatorMigrations, type CoordinatorSchema } from "./projectionTables.ts";
export type { RetentionOptions } from "./retentionRules.ts";
export type { Run, RunOptions } from "./run.ts";
export { type RunningCoordinator, startCoordinator, type StartOptions } from "./start.ts";
