/** Shape rules of the operators: what each makes of its inputs (https://onnx.ai/onnx/operators/), for static shapes. */
export * from "./elementwise.ts";
export * from "./axes.ts";
export * from "./products.ts";
export * from "./places.ts";
