/** `cotrain`: the process behind the command. Start reading at program.ts. */
import { main } from "./program.ts";

// A reader that has seen enough (`cotrain verify | head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 70));

process.exitCode = await main(process.argv.slice(2));
