/** A client that shares no code with the SDK, for the life of a model in `test/e2e/clients.test.ts`: Foundry's cast, from npm. */
import type { NpmTool } from "./npmTool.ts";

const machines: Readonly<Record<string, string>> = { "linux-x64": "linux-amd64", "linux-arm64": "linux-arm64" };
const machine = machines[`${process.platform}-${process.arch}`];

export const CAST: NpmTool = {
  name: "cast",
  version: "1.7.1",
  package: machine && `@foundry-rs/cast-${machine}`,
  file: "bin/cast",
};
