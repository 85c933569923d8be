/**
 * A folder in which forge, and what builds on it, finds the contracts: copies of them and of what they import, npm's compiler as
 * `solc`, and the settings of hardhat.config.ts. Nothing in it needs the network.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, isAbsolute, join } from "node:path";

import { settings } from "../../hardhat.config.ts";
import { FORGE } from "../forge.ts";
import { findNpmTool, prepareNpmTool } from "../npmTool.ts";
import { filesOf, root } from "./copy.ts";

/** Characters of a program's output that are kept. */
const OUTPUT = 2_000_000;

/** Why something cannot be built or run here; one sentence that says how it can. */
export class ToolMissing extends Error {}

export interface Workshop {
  readonly directory: string;
  readonly read: (file: string) => string;
  readonly write: (file: string, text: string) => void;
  /** Runs a program, which finds forge on its path; answers its exit code and what it printed on either stream. */
  readonly run: (program: string, args: readonly string[], minutes: number) => Promise<Ran>;
  readonly remove: () => void;
}

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

interface Wanted {
  /** Where the sources are that are built, and where the tests. */
  readonly sources: string;
  readonly tests: string;
  /** What Foundry is told besides, as lines of its file. */
  readonly profile?: readonly string[];
}

/** Where forge is; fetched where it is not. @throws ToolMissing */
function findForge(): string {
  const prepared = prepareNpmTool(FORGE);
  const forge = findNpmTool(FORGE);
  if (forge !== undefined) return forge;
  throw new ToolMissing(
    FORGE.package === undefined
      ? `npm has no ${FORGE.name} for this machine: run it on Linux or on an Apple computer with its own processor.`
      : `${prepared.words} It comes from npm, as ${FORGE.package}@${FORGE.version}.`,
  );
}

/** @throws ToolMissing */
export function openWorkshop({ sources, tests, profile = [] }: Wanted): Workshop {
  const forge = findForge();
  const directory = mkdtempSync(join(tmpdir(), "cotrain-foundry-"));
  const put = (file: string): void => {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    cpSync(join(root, file), join(directory, file), { recursive: true });
  };
  for (const file of filesOf("contracts", "test/contracts", "test/vectors/protocol.json")) put(file);
  // Copies, not links: Foundry takes a file for the one that it really is.
  for (const each of ["contracts", "contracts-upgradeable"]) put(join("node_modules/@openzeppelin", each));
  const write = (file: string, text: string): void => writeFileSync(join(directory, file), text);
  write("foundry.toml", [...fileOf(sources, tests), ...profile, ""].join("\n"));
  const program = join(root, "test/thorough/compilerProgram.ts");
  writeFileSync(join(directory, "solc"), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, { mode: 0o755 });
  return {
    directory,
    read: (file) => readFileSync(join(directory, file), "utf8"),
    write,
    run: (name, args, minutes) => runIn(directory, dirname(forge), name, args, minutes),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

const fileOf = (sources: string, tests: string): readonly string[] => [
  "[profile.default]",
  `src = "${sources}"`,
  `test = "${tests}"`,
  'out = "out"',
  'libs = ["node_modules"]',
  "auto_detect_remappings = false",
  'remappings = ["@openzeppelin/=node_modules/@openzeppelin/"]',
  'solc = "./solc"',
  "offline = true",
  `evm_version = "${settings.evmVersion}"`,
  `optimizer = ${settings.optimizer.enabled}`,
  `optimizer_runs = ${settings.optimizer.runs}`,
  // Its linter; solhint and Slither look at style and dangers.
  "lint = { lint_on_build = false }",
  'fs_permissions = [{ access = "read", path = "test/vectors" }]',
];

function runIn(
  directory: string,
  path: string,
  program: string,
  args: readonly string[],
  minutes: number,
): Promise<Ran> {
  return new Promise((done, fail) => {
    const child = spawn(program, [...args], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: minutes * 60_000,
      env: {
        ...process.env,
        PATH: [path, ...(isAbsolute(program) ? [dirname(program)] : []), process.env["PATH"] ?? ""].join(delimiter),
        NO_COLOR: "1",
      },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-OUTPUT);
      });
    child.on("error", fail);
    child.on("close", (code) => done({ code, output }));
  });
}
