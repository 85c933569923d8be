/** What the engine's process may answer: forms that follow from the programs, checked since the process is not trusted. */
import { printable } from "../../../../base/core.ts";
import type { BatchShape, TensorShape } from "../../../engine.ts";
import { RuntimeError } from "../../../errors.ts";
import { elements } from "../../../graph.ts";
import { named } from "../../../held.ts";
import type { ProgramKind, ProgramOutline } from "../../../signature.ts";
import type { Method, Reply } from "./messages.ts";

/** Shapes of everything that crosses. */
export interface Layout {
  readonly shapes: Readonly<Partial<Record<ProgramKind, BatchShape>>>;
  readonly parameters: readonly TensorShape[];
  readonly state: readonly TensorShape[];
}

export function layoutOf(outlines: readonly ProgramOutline[]): Layout {
  const step = outlines.find(({ signature }) => signature.kind === "step");
  return {
    shapes: Object.fromEntries(
      outlines.map(({ signature, batch, tokensPerSequence }) => [
        signature.kind,
        { batch, tokensPerSequence, vocabulary: signature.vocabulary },
      ]),
    ),
    parameters: outlines[0]?.parameters ?? [],
    state: step?.state ?? [],
  };
}

const count = (shapes: readonly TensorShape[]): number => shapes.reduce((sum, { shape }) => sum + elements(shape), 0);
const logitsOf = ({ shapes: { logits } }: Layout): number =>
  logits ? logits.batch * logits.tokensPerSequence * logits.vocabulary : 0;

/** The largest answer: a saved state, or logits. */
export const replyBytes = (layout: Layout): number =>
  4 * Math.max(count(layout.parameters) + count(layout.state), logitsOf(layout));

type Check = (layout: Layout, result: unknown, given: readonly unknown[]) => boolean;

const fields = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
const isStep = (value: unknown): boolean =>
  typeof fields(value)["loss"] === "number" && typeof fields(value)["gradientNorm"] === "number";
const areSteps = (value: unknown): boolean => Array.isArray(value) && value.every(isStep);
const areTensors = (shapes: readonly TensorShape[], value: unknown): boolean =>
  Array.isArray(value) &&
  value.length === shapes.length &&
  shapes.every(({ name, shape }, i) => {
    const { name: other, data } = fields(value[i]);
    return other === name && data instanceof Float32Array && data.length === elements(shape);
  });
const isOptimizer = ({ state }: Layout, value: unknown): boolean =>
  Number.isSafeInteger(fields(value)["step"]) && areTensors(state, fields(value)["tensors"]);
const isNothing: Check = (_, value) => value === undefined;

const checks: Readonly<Record<Method | "train", Check>> = {
  step: (_, value) => isStep(value),
  train: (_, value) => areSteps(value),
  evaluate: (_, value) => typeof fields(value)["loss"] === "number" && Number.isSafeInteger(fields(value)["tokens"]),
  logits: (layout, value) => value instanceof Float32Array && value.length === logitsOf(layout),
  parameters: ({ parameters }, value, [names]) => areTensors(named(parameters, names as string[] | undefined), value),
  setParameters: isNothing,
  optimizerState: isOptimizer,
  setOptimizerState: isNothing,
  resetOptimizer: isNothing,
  save: (layout, value) =>
    areTensors(layout.parameters, fields(value)["parameters"]) && isOptimizer(layout, fields(value)["optimizer"]),
  restore: isNothing,
  stateDigest: (_, value) => typeof value === "string" && /^0x[0-9a-f]{64}$/.test(value),
  cpuTime: (_, value) => typeof value === "number" && value >= 0,
  close: isNothing,
};

/** @throws RuntimeError `ENGINE_ANSWER` when the result has another form than the method's */
export function checkReply(
  layout: Layout,
  method: Method | "train",
  result: unknown,
  given: readonly unknown[] = [],
): unknown {
  if (checks[method](layout, result, given)) return result;
  throw new RuntimeError("ENGINE_ANSWER", `The engine's process answered ${method} with something else.`);
}

/** Characters that are told of what an engine says of itself. */
const MAX_REMARK = 400;

/** What an engine says of itself when it is open. @throws RuntimeError `ENGINE_ANSWER` */
export function readRemark(result: unknown): string | undefined {
  if (result === undefined) return undefined;
  if (typeof result === "string") return printable(result.slice(0, MAX_REMARK));
  throw new RuntimeError("ENGINE_ANSWER", "The engine's process answered open with something else.");
}

/** A message from the process, as far as its form goes. @throws RuntimeError `ENGINE_ANSWER` */
export function readReply(message: unknown): Reply {
  const { kind, id, error, done, newest } = fields(message);
  const texts = ["name", "code", "message"].every((key) => typeof fields(error)[key] === "string");
  const known =
    kind === "ready" ||
    (typeof id === "number" &&
      (kind === "result" ||
        (kind === "error" && texts) ||
        (kind === "progress" && Number.isSafeInteger(done) && areSteps(newest))));
  if (known) return message as Reply;
  throw new RuntimeError("ENGINE_ANSWER", "The engine's process said something that is no answer.");
}
