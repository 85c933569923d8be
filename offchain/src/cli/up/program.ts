import { fileURLToPath } from "node:url";

/** What the processes of a run are started as. */
export const program = fileURLToPath(new URL("../main.ts", import.meta.url));
