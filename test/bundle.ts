/** Modules of the sources as a browser gets them. */
import { builtinModules } from "node:module";
import { join, resolve } from "node:path";

import { rolldown } from "rolldown";

const root = resolve(import.meta.dirname, "..");
const entryPath = join(root, "offchain/src/entry.js");

/** Packages that run under Node alone. */
const NODE_PACKAGES = /^(onnxruntime-node|better-sqlite3|kysely|@napi-rs\/|pino|fastify|@fastify\/)/;
/** Has WebAssembly beside it and starts threads from itself: a page gets it as it is. */
const WHOLE_PACKAGES = /^onnxruntime-web\//;

export interface Bundle {
  readonly code: string;
  /** Everything of Node's that the entry reaches, with who reaches it; it is left out. */
  readonly node: readonly string[];
}

/**
 * Bundles a module.
 * @param entry its text, as if it stood in offchain/src
 * @param format a script that makes `rooms`, or a module
 */
export async function bundleForBrowsers(entry: string, format: "iife" | "esm"): Promise<Bundle> {
  const node: string[] = [];
  const built = await rolldown({
    input: "entry",
    platform: "browser",
    resolve: { conditionNames: ["cotrain-source", "browser", "import", "default"] },
    logLevel: "silent",
    plugins: [
      {
        name: "rooms",
        resolveId: (id, importer) => {
          if (id === "entry") return { id: entryPath };
          if (WHOLE_PACKAGES.test(id)) return { id, external: true };
          if (!builtinModules.includes(id) && !id.startsWith("node:") && !NODE_PACKAGES.test(id)) return undefined;
          node.push(`${id} from ${importer?.replace(`${root}/`, "")}`);
          return { id, external: true };
        },
        load: (id) => (id === entryPath ? entry : undefined),
      },
    ],
  });
  const { output } = await built.generate({ format, name: "rooms" });
  return { code: output[0].code, node };
}
