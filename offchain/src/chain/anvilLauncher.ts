/**
 * Becomes anvil: repairs the state file, then replaces itself by the node (same process id, so that signals reach the node
 * and nothing is left behind). Arguments: path of the binary, path of the state file, then the node's own arguments.
 */
import { spawn } from "node:child_process";

import { copyOf, repairState } from "./anvilState.ts";

const [binary, state, ...args] = process.argv.slice(2);
if (binary === undefined || state === undefined) {
  process.stderr.write("The launcher takes a binary, a state file and the node's arguments.\n");
  process.exit(70);
}

const condition = repairState(state);
if (condition === "lost") {
  process.stderr.write(
    `The chain's state ${state} is damaged and so is its copy ${copyOf(state)}: put the state aside and start anew with "npm start -- --fresh".\n`,
  );
  process.exit(1);
}
if (condition === "restored")
  process.stderr.write(`The chain's state was torn by a crash; its copy of a moment before took its place.\n`);

if (process.platform !== "win32" && process.execve) process.execve(binary, [binary, ...args], process.env);

// Where a process cannot be replaced, it passes signals on and ends with the node.
const child = spawn(binary, args, { stdio: "inherit" });
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => process.exit(code ?? 1));
