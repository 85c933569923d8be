/**
 * A GPU in software for the tests of WebGPU: SwiftShader, which Debian's package chromium-common brings with a Vulkan loader beside
 * it. `.ci/run` unpacks the package, without installing it, before the part that needs it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import type { Prepared } from "./goTool.ts";

const PACKAGE = "chromium-common";
const LIMIT_MINUTES = 5;
const cache = join(homedir(), ".cache/cotrain-swiftshader");

/** Where the package puts it below a root. */
const placeIn = (root: string): string => join(root, "usr/lib/chromium");
const isThere = (place: string): boolean =>
  ["vk_swiftshader_icd.json", "libvk_swiftshader.so", "libvulkan.so.1"].every((file) => existsSync(join(place, file)));

/** The environment in which WebGPU finds it; undefined where it is not there. */
export function swiftShader(): Readonly<Record<string, string>> | undefined {
  const place = [placeIn("/"), placeIn(cache)].find(isThere);
  return place === undefined
    ? undefined
    : { VK_ICD_FILENAMES: join(place, "vk_swiftshader_icd.json"), LD_LIBRARY_PATH: place };
}

/** Fetches and unpacks the package unless it is there. */
export function prepareSwiftShader(folder = cache): Prepared {
  if (folder === cache && swiftShader() !== undefined) return { kind: "ready", words: "SwiftShader is there." };
  const run = (command: string, ...args: readonly string[]): boolean =>
    spawnSync(command, [...args], {
      cwd: folder,
      stdio: ["ignore", "inherit", "inherit"],
      timeout: LIMIT_MINUTES * 60_000,
    }).status === 0;
  if (["apt-get", "dpkg-deb"].some((command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status !== 0))
    return { kind: "not run", words: "not run: unpacking SwiftShader: this is no Debian." };
  mkdirSync(folder, { recursive: true });
  const download = (): boolean => run("apt-get", "download", "-q", PACKAGE);
  if (!download() && !(run("apt-get", "update", "-q") && download()))
    return { kind: "failed", words: `SwiftShader: the package ${PACKAGE} could not be fetched: see above.` };
  const archives = readdirSync(folder).filter((file) => file.endsWith(".deb"));
  const unpacked = archives.every((archive) => run("dpkg-deb", "-x", archive, folder));
  for (const archive of archives) rmSync(join(folder, archive));
  return unpacked && isThere(placeIn(folder))
    ? { kind: "ready", words: `SwiftShader was unpacked from ${PACKAGE}.` }
    : { kind: "failed", words: `SwiftShader: ${PACKAGE} could not be unpacked, or holds something else: see above.` };
}
