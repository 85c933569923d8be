/**
 * Which matrix products give the same bits on every number of threads.
 *
 * MLAS, ONNX Runtime's CPU kernels, sums over K in blocks and picks the block's size from the columns that one thread
 * gets: few columns, other block, other rounding. Measured and read in its source (sgemm.cpp), a product M×N×K is
 * stable if one of these holds:
 *  - transA = 1 (Gemm): the block is fixed, because the panel of A is transposed through a buffer of fixed size;
 *  - M ≥ N and more than one row per thread: then threads split rows, never columns;
 *  - K ≤ 128: there is one block.
 */
import { ProductRuleError } from "./errors.ts";

/** The product of an M×K and a K×N matrix, as it stands in a graph. */
export interface Product {
  readonly op: "Gemm" | "MatMul";
  /** Name of the result, to find it in the graph. */
  readonly name: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Whether Gemm reads its first operand transposed; MatMul never does by itself. */
  readonly transA: boolean;
  /** How many such products the node computes (batched MatMul). */
  readonly batch: number;
}

/** K up to which MLAS sums in one block. */
const BLOCK_K = 128;

/** Whether the product's bits are independent of the number of threads (up to `maxThreads`). */
export function isExact({ op, m, n, k, transA }: Omit<Product, "name" | "batch">): boolean {
  return (op === "Gemm" && transA) || m >= n || k <= BLOCK_K;
}

/** Throws ProductRuleError, naming the product, unless it is exact. */
export function assertExact(product: Product): void {
  if (isExact(product)) return;
  throw new ProductRuleError(`${product.m}×${product.n}×${product.k} of ${product.op} ${product.name}`);
}

/** Threads up to which a set of exact products stays exact: half of the smallest M that relies on M ≥ N. */
export function maxThreads(products: readonly Product[]): number {
  let limit = 1024;
  for (const { op, m, k, transA } of products) {
    if ((op === "Gemm" && transA) || k <= BLOCK_K) continue;
    limit = Math.min(limit, Math.max(1, Math.floor(m / 2)));
  }
  return limit;
}
