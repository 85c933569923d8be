/**
 * @cotrain/sdk/base: what imports nothing: the classes that all errors extend, and the protocol's sizes. For code that must stay small,
 * as what runs beside a stranger's program. The other entry points have all of it too.
 */
export * from "./baseErrors.ts";
export * from "./protocol/limits.ts";
