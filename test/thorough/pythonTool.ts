/** Programs from PyPI, by the hashes of their files, in environments outside the clone. */
import { join } from "node:path";

import { cacheOf, NoPython, openEnvironment } from "../pythonEnvironment.ts";
import { root } from "./copy.ts";
import { ToolMissing } from "./foundry.ts";

/**
 * The Python that has the packages of a list, `<name>.txt` beside this file; the program is its module of that name.
 * @throws ToolMissing
 */
export function pythonWith(name: "halmos" | "slither"): string {
  try {
    return openEnvironment(join(root, `test/thorough/${name}.txt`), cacheOf(name));
  } catch (error) {
    if (!(error instanceof NoPython)) throw error;
    throw new ToolMissing(
      `${name} needs Python 3.11 or newer with venv, and PyPI the first time: ${error.message}. On Debian: apt-get install python3 python3-venv.`,
      { cause: error },
    );
  }
}
