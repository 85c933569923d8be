/** Programs of the system that do not end: one that heeds no signal, and one that asks a driver which hangs, so that no signal reaches it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect, test, vi } from "vitest";

import { cudaCount } from "../../../offchain/src/engine/runtime/node/adapters.ts";
import { runSystemProgram } from "../../../offchain/src/engine/runtime/node/systemPrograms.ts";

const HUNG = "nvidia-smi";
const unref = vi.hoisted(() => vi.fn<() => void>());

vi.mock(import("node:child_process"), async (original) => {
  const { execFile, ...others } = await original();
  const run = promisify(execFile);
  const hanging = (path: string, ...rest: [string[], object]): unknown =>
    path.endsWith(HUNG) ? Object.assign(new Promise(() => undefined), { child: { unref } }) : run(path, ...rest);
  return { ...others, execFile: Object.assign(() => undefined, { [promisify.custom]: hanging }) } as never;
});
vi.mock(import("node:fs"), async (original) => {
  const files = await original();
  return { ...files, existsSync: (path) => String(path).endsWith(HUNG) || files.existsSync(path) };
});

test("one that hangs with its driver is given up in time, and keeps nobody from ending", async () => {
  await expect(runSystemProgram(HUNG, [], 50)).rejects.toThrow("due to timeout");
  expect(unref).toHaveBeenCalledOnce();
});

test("whoever asks it for GPUs goes on without an answer", { timeout: 20_000 }, async () => {
  expect(await cudaCount()).toBe(0);
});

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test.skipIf(process.platform === "win32")("one that is late is killed, whatever it heeds", async () => {
  const directory = mkdtempSync(join(tmpdir(), "cotrain-late-"));
  const file = join(directory, "pid");
  const script = `trap "" TERM; echo $$ > "${file}"; while :; do read -r forever || :; done`;
  await expect(runSystemProgram("sh", ["-c", script], 1_000)).rejects.toThrow(/due to timeout|Command failed/);
  const pid = Number(readFileSync(file, "utf8"));
  rmSync(directory, { recursive: true });
  await expect.poll(() => isThere(pid), { timeout: 10_000 }).toBe(false);
});
