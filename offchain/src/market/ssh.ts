/**
 * Machines over the system's `ssh`. Its options are these and no others: no configuration file is read, the host's key must be known, or
 * is taken at first sight and held to from then on where a machine was rented, nothing is forwarded. What is run goes in by the standard
 * input, so that no list of processes shows it, here or there. Keys are the agent's, or in a file whose name alone is an argument.
 */
import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { join, resolve } from "node:path";

import { UserError } from "../base/index.ts";
import { makeDirectories, typedPath } from "../base/node/index.ts";
import { providerError } from "./base/errors.ts";
import { sameKey } from "./base/orders.ts";
import type { ShellAddress } from "./base/renting.ts";

export interface SshHost {
  /** What it is called in errors. */
  readonly name: string;
  readonly address: ShellAddress;
  /** File of the private key; default the agent's keys and those of the user's directory. */
  readonly key?: string | undefined;
  /**
   * Where the host's key is noted at first sight, and under which name; without it the key must be among this user's known hosts. Names
   * are of leases: another machine at the same address has another.
   */
  readonly noted?: { readonly file: string; readonly as: string } | undefined;
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

/** A file's name as an option of `ssh` takes it. @throws UserError `USAGE` for what it would read more in */
function optionFile(path: string): string {
  if (/["$\\\p{Cc}]/u.test(path) || path.startsWith("~"))
    throw new UserError("USAGE", `ssh cannot be told the file ${JSON.stringify(path)}: name another directory.`);
  return `"${path.replaceAll("%", "%%")}"`;
}

/** Where the key of a lease's host is noted: a file for each, beside the ledger. */
export function notedFor(directory: string, label: string): NonNullable<SshHost["noted"]> {
  const folder = join(resolve(directory), "hosts");
  makeDirectories(folder, 0o700);
  // A second machine under one name has its id behind it.
  const as = label.replaceAll(/[^\w.-]/g, "_");
  return { file: join(folder, as), as };
}

/**
 * That machines can be reached from here, before they are paid for.
 * @param identity file of a private key
 * @throws UserError `SSH_MISSING`, `FILE_UNREADABLE`
 */
export async function requireSsh(identity?: string): Promise<void> {
  await new Promise<void>((done, reject) => {
    execFile("ssh", ["-V"], { timeout: 10_000 }, (error) =>
      error?.code === "ENOENT"
        ? reject(new UserError("SSH_MISSING", "There is no program ssh here, which starts what its provider does not."))
        : done(),
    );
  });
  if (identity === undefined) return;
  try {
    await access(identity, constants.R_OK);
  } catch (error) {
    throw new UserError("FILE_UNREADABLE", `The private key ${typedPath(identity)} cannot be read.`, { cause: error });
  }
}

/**
 * That a private key is the half of a public one, as far as it tells: not where it has a passphrase, which an agent may know.
 * @throws UserError `SSH_KEY`
 */
export async function requireKeyPair(identity: string, publicKey: string): Promise<void> {
  const told = await new Promise<string>((done) => {
    execFile("ssh-keygen", ["-y", "-P", "", "-f", resolve(identity)], { timeout: 10_000 }, (error, stdout) =>
      done(error === null ? stdout.trim() : ""),
    );
  });
  if (told !== "" && !sameKey(told, publicKey))
    throw new UserError("SSH_KEY", `${typedPath(identity)} is not the private half of the key that machines let in.`);
}

/** How the host's key is looked at. */
const hostKeyOptions = ({ noted }: SshHost): readonly string[] =>
  noted === undefined
    ? ["StrictHostKeyChecking=yes"]
    : [
        "StrictHostKeyChecking=accept-new",
        `UserKnownHostsFile=${optionFile(noted.file)}`,
        "GlobalKnownHostsFile=none",
        `HostKeyAlias=${noted.as}`,
        "HashKnownHosts=no",
      ];

/** The whole command line but for the program and what is run. @param asks whether it may ask at the terminal, and have one there */
const argumentsOf = (machine: SshHost, asks: boolean): readonly string[] => [
  "-F",
  "none",
  ...(asks ? [] : ["-T"]),
  "-p",
  String(machine.address.port),
  "-l",
  machine.address.user,
  ...[
    ...(asks ? [] : ["BatchMode=yes"]),
    ...hostKeyOptions(machine),
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
    ...(machine.key === undefined ? [] : ["IdentitiesOnly=yes"]),
  ].flatMap((option) => ["-o", option]),
  ...(machine.key === undefined ? [] : ["-i", machine.key.replaceAll("%", "%%")]),
  "--",
  machine.address.host,
];

/** `ssh` and its arguments, for a shell on a machine at this terminal. @throws UserError `USAGE` */
export const shellCommandOf = (machine: SshHost): readonly [program: string, ...args: string[]] => [
  "ssh",
  ...argumentsOf(machine, true),
];

const lastLine = (text: string): string =>
  text
    .trim()
    .split("\n")
    .at(-1)
    ?.replaceAll(/[^\x20-\x7e]/g, "")
    .slice(0, MAX_WORDS) ?? "";

/** Whose key is not taken: the host's by us, or ours by the host. */
function refusedBy(stderr: string): "host" | "login" | undefined {
  if (/host key verification failed|no .*host key is known/i.test(stderr)) return "host";
  return /permission denied/i.test(stderr) ? "login" : undefined;
}

/** A shell reads all of it before it runs any of it: of a script that was cut off nothing is done. */
const whole = (script: string): string => `run() {\n${script}\n}\nrun\n`;

/**
 * Runs a script of `sh` on a machine.
 * @returns what it printed
 * @throws UserError `PROVIDER_AUTH` where the host's key or ours is not taken, so that nothing was run, with the one that it is in
 *   `details.refused` (`host`, `login`); RetryableError `PROVIDER_AWAY` where it did not end well, or was not seen to
 */
export function runOverSsh(machine: SshHost, script: string, options: SshOptions): Promise<string> {
  const { signal, timeout = 60_000 } = options;
  const { name } = machine;
  return new Promise((resolve, reject) => {
    const child = execFile(
      "ssh",
      [...argumentsOf(machine, false), "sh -s"],
      { signal, timeout, killSignal: "SIGKILL", maxBuffer: MAX_OUTPUT, windowsHide: true },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        if (error.code === "ENOENT") return reject(providerError("validation", name, "there is no program ssh here"));
        const words = lastLine(stderr);
        const refused = error.code === NO_CONNECTION ? refusedBy(stderr) : undefined;
        if (refused === undefined) return reject(providerError("away", name, words, {}, error));
        return reject(providerError("auth", name, words, { refused }, error));
      },
    );
    // It may end before it has read all; how it ended is told above.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(whole(script));
  });
}
