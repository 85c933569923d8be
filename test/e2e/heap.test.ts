/**
 * Parameters lie outside of V8's heap all their life: as numbers of JavaScript's they would take twice their bytes there, and a model of
 * some size would end a process whose machine has memory enough.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

import { expect, test } from "vitest";

import { root } from "./harness.ts";

test("a process whose heap is smaller than the parameters takes them through a round", () => {
  const script = join(root, "test/e2e/lifeOfParameters.ts");
  const flags = ["--conditions=cotrain-source", "--max-old-space-size=64", "--max-semi-space-size=1"];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, script], { encoding: "utf8", cwd: root });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const { parameters, heap } = JSON.parse(stdout) as { parameters: number; heap: number };
  expect(heap).toBeLessThan(parameters);
});
