/** What engine's process loads beside a stranger's program: it starts often, and what is not there is of no use to that program. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

import { expect, test } from "vitest";

const host = join(import.meta.dirname, "../../../offchain/src/engine/runtime/node");
/** Tells every module that is loaded; the process itself would wait for its host. */
const telling = `
import { registerHooks } from "node:module";
registerHooks({ load: (url, context, next) => (console.log(url), next(url, context)) });
for (const file of ["cpu", "host/frames", "host/messages"]) await import(${JSON.stringify(`${host}/`)} + file + ".ts");
`;

test("engine's process loads no chain library, no wallet and none of the protocol's documents", () => {
  const args = ["--conditions=cotrain-source", "--input-type=module", "--eval", telling];
  const loaded = execFileSync(process.execPath, args, { encoding: "utf8" }).split("\n");
  expect(loaded.some((url) => url.includes("/onnxruntime-node/"))).toBe(true);
  const packages = /\/node_modules\/(viem|ethers|abitype|@openzeppelin|@noble|kysely|fastify|pino|ajv)\//;
  expect(loaded.filter((url) => packages.test(url))).toEqual([]);
  const own = loaded
    .filter((url) => /\/(sdk|offchain)\/src\//.test(url))
    .map((url) => url.replace(/.*\/(?=(sdk|offchain)\/src\/)/, ""));
  expect(own.filter((path) => path.startsWith("sdk/")).sort()).toEqual([
    "sdk/src/base.ts",
    "sdk/src/baseErrors.ts",
    "sdk/src/protocol/limits.ts",
  ]);
  expect(own.filter((path) => !/^offchain\/src\/(base|engine)\//.test(path) && !path.startsWith("sdk/"))).toEqual([]);
});
