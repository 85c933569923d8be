/**
 * service: what a daemon needs and no field owns, in four parts: `processes` (how a process lives), `persistence` (what lies
 * on the disk), `http` (the server and its limits), `settings`. Knows nothing of training or of contracts. May import base and
 * the SDK's errors and protocol (by the arrows also engine, diloco, data and storage, which it has no need of). Start at
 * persistence/state.ts for what lies on disk, at processes/lifecycle.ts for how a process lives.
 */
export * from "./http/index.ts";
export * from "./persistence/index.ts";
export * from "./processes/index.ts";
export * from "./settings/index.ts";
