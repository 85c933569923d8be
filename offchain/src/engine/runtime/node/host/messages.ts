/** What the host and the engine's process say to each other, and how an error crosses the border between them. */
import { CotrainError, type ErrorDetails } from "@cotrain/sdk/base";

import type { Engine, EngineOptions, StepResult, TrainInput } from "../../../engine.ts";
import { EngineClosedError, EngineError, RuntimeError } from "../../../errors.ts";

/** Calls that cross as they are; `train` has callbacks and crosses as its own message. */
export type Method = Exclude<keyof Engine, "shapes" | "tensors" | "pid" | "remark" | "train">;

export type Request =
  | { readonly id: number; readonly call: "open"; readonly options: EngineOptions }
  | { readonly id: number; readonly call: "train"; readonly input: TrainInput }
  | { readonly id: number; readonly call: "stop"; readonly train: number }
  | { readonly id: number; readonly call: Method; readonly given: readonly unknown[] };

/** The first word is that the process stands: it has loaded all that it needs and its lifeline watches. */
export type Reply =
  | { readonly kind: "ready" }
  | { readonly id: number; readonly kind: "result"; readonly result: unknown }
  | { readonly id: number; readonly kind: "error"; readonly error: PackedError }
  | { readonly id: number; readonly kind: "progress"; readonly done: number; readonly newest: readonly StepResult[] };

export interface PackedError {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly details: ErrorDetails | null;
  /** Text of the causes, for the developer. */
  readonly cause: string | null;
}

export function packError(error: unknown): PackedError {
  if (!(error instanceof CotrainError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { name: "RuntimeError", code: "ENGINE_PROCESS", message, details: null, cause: null };
  }
  const { name, code, message, details, cause } = error;
  return { name, code, message, details: details ?? null, cause: cause instanceof Error ? cause.message : null };
}

export function unpackError({ name, code, message, details, cause }: PackedError): CotrainError {
  const options = { ...(details && { details }), ...(cause !== null && { cause }) };
  if (name === "EngineError") return new EngineError(code, message, options);
  if (name === "EngineClosedError") return new EngineClosedError(message, options);
  return new RuntimeError(code, message, options);
}
