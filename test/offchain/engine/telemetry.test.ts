/** ONNX Runtime must tell nobody what is trained here: neither file nor identifier is left by a process that ran an engine. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect, onTestFinished, test } from "vitest";

const files = { openCpuEngine: "cpu", openWasmEngine: "wasm", openEngineHost: "host/host" };

const program = (opener: keyof typeof files): string => `
  const { buildPrograms, initialParameters, presetOf } = await import("./offchain/src/engine/index.ts");
  const { ${opener} } = await import("./offchain/src/engine/runtime/node/${files[opener]}.ts");
  const { model, microBatch } = presetOf("0.1m");
  const programs = buildPrograms(model, { microBatch });
  const engine = await ${opener}({ programs: { logits: programs.logits.bytes }, threads: 1 });
  await engine.setParameters(initialParameters(model, "seed").map(({ data }) => data));
  await engine.close();
  console.log("closed");
`;

test.each(Object.keys(files) as (keyof typeof files)[])("%s", { timeout: 120_000 }, async (opener) => {
  const home = mkdtempSync(join(tmpdir(), "cotrain-home-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const temporary = join(home, "tmp");
  mkdirSync(temporary);
  // Where CI is set it is silent anyway.
  const { CI: _, ORT_DISABLE_TELEMETRY: __, ...environment } = process.env;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=cotrain-source", "--input-type=module", "-e", program(opener)],
    { env: { ...environment, HOME: home, TMPDIR: temporary, XDG_CACHE_HOME: join(home, "cache") } },
  );
  expect(stdout).toBe("closed\n");
  expect(readdirSync(home, { recursive: true })).toEqual(["tmp"]);
});
