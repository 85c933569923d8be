/** A real filesystem of a few megabytes, where this user may mount one (root on Linux). */
import { spawnSync } from "node:child_process";
import { statfsSync, writeFileSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

export interface SmallDisk {
  readonly path: string;
  /** Leaves not a page of room. */
  fill(): void;
  /** Gives back what {@link fill} took. */
  empty(): void;
  unmount(): Promise<void>;
}

/** A busy machine refuses a process or a mount now and then. */
const TRIES = 3;

/** @throws Error with what each try said */
export async function mountSmallDisk(megabytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), "cotrain-small-disk-"));
  const said: string[] = [];
  for (;;) {
    const mount = ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", path];
    const { status, signal, error, stderr } = spawnSync("mount", mount, { encoding: "utf8" });
    if (status === 0) break;
    said.push(`${error?.message ?? ""} ${stderr} (status ${status}, signal ${signal})`.trim());
    if (said.length === TRIES) throw new Error(`mount failed: ${said.join("; ")}`);
    await setTimeout(1_000);
  }
  const ballast = join(path, "ballast");
  return {
    path,
    fill: () => {
      const { bavail, bsize } = statfsSync(path);
      writeFileSync(ballast, new Uint8Array(bavail * bsize));
    },
    empty: () => rmSync(ballast, { force: true }),
    unmount: async () => {
      spawnSync("umount", [path]);
      await rm(path, { recursive: true, force: true });
    },
  };
}
