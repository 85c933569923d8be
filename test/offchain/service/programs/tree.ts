/** Supervises two processes, one of which knows nothing of being supervised, until it is killed. Prints their pids. */
import { createSupervisor } from "../../../../offchain/src/service/processes/supervisor.ts";
import { silentLogger } from "../../../../offchain/src/service/processes/logging.ts";
import { nodeArgs } from "./args.ts";

const supervisor = createSupervisor({ logger: silentLogger() });
const [daemon, foreign] = await supervisor.startGroup([
  { name: "daemon", command: process.execPath, args: nodeArgs("daemon"), ready: { kind: "message" } },
  { name: "foreign", command: "sh", args: ["-c", "trap '' TERM; while true; do sleep 0.1; done"] },
]);
process.stdout.write(`pids ${daemon?.pid} ${foreign?.pid}\n`);
