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
} from "./coordinator.ts";
export { statusByCode } from "./errors.ts";
export { createGateMeter, type GateMeter } from "./gateMeter.ts";
export { EVENT_SCHEMA_VERSION, LOGIC_VERSION, step } from "./machine/machine.ts";
export type { RunEvent } from "./machine/events.ts";
export type { RunState } from "./machine/state.ts";
export { coordinatorMigrations, type CoordinatorSchema } from "./projectionTables.ts";
export type { Run } from "./run.ts";
export { startCoordinator } from "./start.ts";
