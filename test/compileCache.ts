/** Commands that tests start again and again from this tree keep what Node compiled, as those that `npm run` starts (deploy/bootstrap.mjs). */
import { resolve } from "node:path";

/** For their environment: half of the processor's time that a start takes. Whoever works on a copy of a tree names another place. */
export const compileCache = {
  NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? resolve(import.meta.dirname, "../node_modules/.cache/node"),
};
