/** How `cotrain doctor` writes what presets take: small sizes too stand there as numbers that are not nothing. */
import { expect, test } from "vitest";

import { needsOfPresets, presetTable } from "../../../offchain/src/cli/commands/doctor.ts";

const GIB = 2 ** 30;

test("what a small model takes stands in MiB: no step is of nothing", () => {
  const found = [
    { name: "cpu", tokensPerSecond: 1, memory: 64 * GIB, ownMemory: false },
    { name: "webgpu", tokensPerSecond: 1, memory: 24 * GIB, ownMemory: true },
  ];
  const [heads, ...rows] = presetTable(needsOfPresets(found, 64 * GIB), 80);
  expect(heads).toMatch(/^preset +parameters +a worker +with GPU +GPU fp32 +GPU fp16 +cpu +webgpu$/);
  expect(rows[0]).toMatch(/^0\.1m +103,152 +549 MiB +544 MiB +8 MiB +9 MiB +fits +fits$/);
  expect(rows[3]).toMatch(/^20m +19,405,312 +1\.6 GiB +1\.2 GiB +759 MiB +812 MiB +fits +fits$/);
  expect(rows.at(-1)).toMatch(/^10b +10,077,188,096 +499\.0 GiB +347\.8 GiB +290\.3 GiB +295\.2 GiB +no +no$/);
});
