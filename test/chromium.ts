/**
 * Chromium for the tests of browsers: Debian's package. `.ci/run` unpacks it, with what it needs beyond this machine and without
 * installing anything, before the part that needs it.
 */
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

import { type DebianPackage, prepareDebianPackage, rootOf } from "./debianPackage.ts";
import type { Prepared } from "./goTool.ts";

/** Where the package puts it below a root. */
const executableIn = (root: string): string => join(root, "usr/lib/chromium/chromium");

const CHROMIUM: DebianPackage = {
  name: "Chromium",
  package: "chromium",
  complete: true,
  isThere: (root) => existsSync(executableIn(root)),
};

/** A program and the environment that it needs. */
export interface Browser {
  readonly executable: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Folders below a root that hold shared libraries, as the loader wants them; nothing for the system's own. */
function libraries(root: string): Readonly<Record<string, string>> {
  if (root === "/") return {};
  const folders = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(({ name }) => /\.so(\.|$)/.test(name))
    .map(({ parentPath }) => parentPath);
  return { LD_LIBRARY_PATH: [...new Set(folders)].join(delimiter) };
}

/** The browser; undefined where it is not there. */
export function chromium(): Browser | undefined {
  const root = rootOf(CHROMIUM);
  return root === undefined ? undefined : { executable: executableIn(root), environment: libraries(root) };
}

/** Fetches and unpacks the package unless it is there. */
export const prepareChromium = (): Prepared => prepareDebianPackage(CHROMIUM);
