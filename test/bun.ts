/** A second engine of JavaScript and WebAssembly beside V8, JavaScriptCore, for the tests of bits: Bun, from npm. */
import type { NpmTool } from "./npmTool.ts";

const machines: Readonly<Record<string, string>> = { "linux-x64": "linux-x64", "linux-arm64": "linux-aarch64" };
const machine = machines[`${process.platform}-${process.arch}`];

export const BUN: NpmTool = {
  name: "Bun",
  version: "1.4.5",
  package: machine && `@oven/bun-${machine}`,
  file: "bin/bun",
};
