/** Foundry's forge, from npm, for what Hardhat does not: branches in coverage, and what Halmos and Slither build with. */
import type { NpmTool } from "./npmTool.ts";

const machines: Readonly<Record<string, string>> = {
  "linux-x64": "linux-amd64",
  "linux-arm64": "linux-arm64",
  "darwin-arm64": "darwin-arm64",
};
const machine = machines[`${process.platform}-${process.arch}`];

export const FORGE: NpmTool = {
  name: "forge",
  version: "1.7.1",
  // The package `forge` itself has a shim that answers 0 whatever forge answers.
  package: machine && `@foundry-rs/forge-${machine}`,
  file: "bin/forge",
};
