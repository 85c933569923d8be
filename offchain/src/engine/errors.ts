/** Errors of the engine: what a caller gave wrong, what a graph's author did wrong, what the runtime refused. */
import { InternalError, RetryableError, UserError, type ErrorOptions } from "../base/core.ts";

/** A program, a config or an input that the engine refuses; the message says what is allowed. */
export class EngineError extends UserError {
  override readonly name: string = "EngineError";
}

/** A graph is being built from shapes or types that do not fit each other: a defect of the model that builds it. */
export class GraphError extends InternalError {
  override readonly name: string = "GraphError";
  constructor(message: string, options: ErrorOptions = {}) {
    super("GRAPH_INVALID", message, options);
  }
}

/** A product whose bits would depend on the number of threads (see products.ts). */
export class ProductRuleError extends InternalError {
  override readonly name: string = "ProductRuleError";
  /** `M×N×K of <Gemm|MatMul> <output name>`. */
  readonly product: string;
  constructor(product: string) {
    super(
      "PRODUCT_NOT_EXACT",
      `The product ${product} would give other bits on other numbers of threads; it needs transA = 1 (Gemm), or M ≥ N, or K ≤ 128.`,
    );
    this.product = product;
  }
}

/** ONNX Runtime failed in the middle of work. */
export class RuntimeError extends InternalError {
  override readonly name: string = "RuntimeError";
}

/** The engine's process is gone: it was closed, or it died. A new host may succeed. */
export class EngineClosedError extends RetryableError {
  override readonly name: string = "EngineClosedError";
  constructor(message = "The engine is closed.", options: ErrorOptions = {}) {
    super("ENGINE_CLOSED", message, options);
  }
}

/** Who ends an engine by its signal may say why. */
export const closedBy = ({ reason }: AbortSignal): EngineClosedError =>
  reason instanceof EngineClosedError ? reason : new EngineClosedError();
