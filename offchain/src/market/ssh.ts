/**
 * Commands on one's own machines, by the system's `ssh`. Its options are these and no others: no configuration file is read, the
 * host's key must be known, nothing is forwarded, nothing is asked at a terminal. What is run goes in by the standard input, so that no
 * list of processes shows it, here or there. Keys are the agent's, or in a file whose name alone is an argument.
 */
import { execFile } from "node:child_process";

import { providerError } from "./base/errors.ts";
import type { ShellAddress } from "./base/renting.ts";

export interface SshHost {
  /** What it is called in errors. */
  readonly name: string;
  readonly address: ShellAddress;
  /** File of the private key; default the agent's keys and those of the user's directory. */
  readonly key?: string | undefined;
}

export interface SshOptions {
  readonly signal: AbortSignal;
  /** Until a script has ended, ms; default 60,000. */
  readonly timeout?: number;
}

const MAX_OUTPUT = 64 << 10;
const MAX_WORDS = 200;
/** What `ssh` itself ends with when there was no connection, or none any more. */
const NO_CONNECTION = 255;

/** The whole command line but for the program. */
const argumentsOf = ({ address: { host, port, user }, key }: SshHost): readonly string[] => [
  "-F",
  "none",
  "-T",
  "-p",
  String(port),
  "-l",
  user,
  ...[
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "ConnectTimeout=15",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ProxyCommand=none",
    "LogLevel=ERROR",
    ...(key === undefined ? [] : ["IdentitiesOnly=yes"]),
  ].flatMap((option) => ["-o", option]),
  ...(key === undefined ? [] : ["-i", key]),
  "--",
  host,
  "sh -s",
];

const lastLine = (text: string): string =>
  text
    .trim()
    .split("\n")
    .at(-1)
    ?.replaceAll(/[^\x20-\x7e]/g, "")
    .slice(0, MAX_WORDS) ?? "";

/** A shell reads all of it before it runs any of it: of a script that was cut off nothing is done. */
const whole = (script: string): string => `run() {\n${script}\n}\nrun\n`;

/**
 * Runs a script of `sh` on a machine.
 * @returns what it printed
 * @throws UserError `PROVIDER_AUTH` where the host's key or ours is not taken, so that nothing was run; RetryableError
 *   `PROVIDER_AWAY` where it did not end well, or was not seen to
 */
export function runOverSsh(machine: SshHost, script: string, options: SshOptions): Promise<string> {
  const { signal, timeout = 60_000 } = options;
  const { name } = machine;
  return new Promise((resolve, reject) => {
    const child = execFile(
      "ssh",
      argumentsOf(machine),
      { signal, timeout, killSignal: "SIGKILL", maxBuffer: MAX_OUTPUT, windowsHide: true },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        if (error.code === "ENOENT") return reject(providerError("validation", name, "there is no program ssh here"));
        const words = lastLine(stderr);
        const isRefused =
          error.code === NO_CONNECTION &&
          /host key verification failed|permission denied|no .*host key is known/i.test(stderr);
        return reject(providerError(isRefused ? "auth" : "away", name, words, {}, error));
      },
    );
    // It may end before it has read all; how it ended is told above.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(whole(script));
  });
}
