/**
 * A GPU in software for the tests of WebGPU: SwiftShader, which Debian's package chromium-common brings with a Vulkan loader beside
 * it. `.ci/run` unpacks the package, without installing it, before the part that needs it.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

import { type DebianPackage, prepareDebianPackage, rootOf } from "./debianPackage.ts";
import type { Prepared } from "./goTool.ts";

/** Where the package puts it below a root. */
const placeIn = (root: string): string => join(root, "usr/lib/chromium");

const SWIFTSHADER: DebianPackage = {
  name: "SwiftShader",
  package: "chromium-common",
  isThere: (root) =>
    ["vk_swiftshader_icd.json", "libvk_swiftshader.so", "libvulkan.so.1"].every((file) =>
      existsSync(join(placeIn(root), file)),
    ),
};

/** The environment in which WebGPU finds it; undefined where it is not there. */
export function swiftShader(): Readonly<Record<string, string>> | undefined {
  const root = rootOf(SWIFTSHADER);
  if (root === undefined) return undefined;
  const place = placeIn(root);
  return { VK_ICD_FILENAMES: join(place, "vk_swiftshader_icd.json"), LD_LIBRARY_PATH: place };
}

/** Fetches and unpacks the package unless it is there. */
export const prepareSwiftShader = (): Prepared => prepareDebianPackage(SWIFTSHADER);
