/** Opens the state directory it is given and keeps it until it is killed. */
import { openStateDirectory } from "../../../../offchain/src/service/persistence/state.ts";

const state = await openStateDirectory(process.argv[2] ?? "", { create: true });
process.stdout.write(`holds ${state.path}\n`);
setInterval(() => state.version, 1_000);
