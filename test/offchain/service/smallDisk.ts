/** A real filesystem of a few megabytes, where this user may mount one (root on Linux). */
import { spawnSync } from "node:child_process";
import { statfsSync, writeFileSync, rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SmallDisk {
  readonly path: string;
  /** Leaves not a page of room. */
  fill(): void;
  /** Gives back what {@link fill} took. */
  empty(): void;
  unmount(): Promise<void>;
}

export async function mountSmallDisk(megabytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), "cotrain-small-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", path], { encoding: "utf8" });
  if (mounted.status !== 0) throw new Error(`mount failed: ${mounted.stderr}`);
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
