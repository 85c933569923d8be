/**
 * Becomes anvil: repairs the state file, then replaces itself by the node (same process id, so that signals reach the node
 * and nothing is left behind). Arguments: path of the binary, path of the state file, the node's socket, the
 * command that starts anew, then its own arguments.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { createServer } from "node:net";

import { copyOf, repairState } from "./anvilState.ts";

const [binary, state, socket, fresh, ...given] = process.argv.slice(2);
if (binary === undefined || state === undefined || socket === undefined || fresh === undefined) {
  process.stderr.write(
    "The launcher takes a binary, a state file, a socket, a command to recommend and the node's arguments.\n",
  );
  process.exit(70);
}

const condition = repairState(state);
if (condition === "lost") {
  process.stderr.write(
    `The chain's state ${state} is damaged and so is its copy ${copyOf(state)}: put the state aside and start anew with "${fresh}".\n`,
  );
  process.exit(1);
}
if (condition === "restored")
  process.stderr.write(`The chain's state was torn by a crash; its copy of a moment before took its place.\n`);

const listens = (host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host, port: 0 }, () => server.close(() => resolve(true)));
  });

/**
 * anvil listens on a TCP port whatever it is told, and any web page may open a WebSocket to it. Linux lets a socket listen on
 * a multicast address, and nothing connects to one. Elsewhere: an address of loopback's 2²⁴ where all are this machine's, at
 * last a port that the system draws; a page would have to find it first.
 */
async function hostFor(): Promise<string> {
  const [a = 1, b = 1, c = 1] = randomBytes(3);
  const secret = `127.${a}.${b}.${Math.max(1, c % 255)}`;
  for (const host of ["224.0.0.1", secret]) if (await listens(host)) return host;
  return "127.0.0.1";
}

// A node that was killed leaves its socket, and cannot listen where one lies.
if (process.platform !== "win32") rmSync(socket, { force: true });
const args = [...given, "--ipc", socket, "--host", await hostFor(), "--port", "0"];

if (process.platform !== "win32" && process.execve) process.execve(binary, [binary, ...args], process.env);

// Where a process cannot be replaced, it passes signals on and ends with the node.
const child = spawn(binary, args, { stdio: "inherit" });
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => process.exit(code ?? 1));
