/** A real anvil as its own process, as the supervisor starts it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type AnvilCommand, anvilCommand } from "../../../offchain/src/chain/index.ts";
import { findPort } from "../../../offchain/src/service/index.ts";

export interface TestNode {
  readonly url: string;
  readonly stateFile: string;
  readonly directory: string;
  /** What the node wrote to stderr. */
  readonly words: () => string;
  start(): Promise<void>;
  /** SIGTERM, or SIGKILL at once. */
  end(signal?: "SIGTERM" | "SIGKILL"): Promise<number | null>;
  close(): Promise<void>;
}

/** @param blockTime seconds, 0 mines on demand */
export async function createNode(blockTime: number): Promise<TestNode> {
  const directory = await mkdtemp(join(tmpdir(), "cotrain-chain-"));
  const stateFile = join(directory, "chain.json");
  const port = await findPort({ port: 0, explicit: false });
  const command: AnvilCommand = anvilCommand({ stateFile, port, blockTime });
  let child: ChildProcess | undefined;
  let words = "";
  const node: TestNode = {
    url: command.url,
    stateFile,
    directory,
    words: () => words,
    start: async () => {
      words = "";
      const started = spawn(command.command, [...command.args], { stdio: ["ignore", "ignore", "pipe"] });
      child = started;
      started.stderr?.on("data", (chunk: Buffer) => {
        words += chunk.toString();
      });
      const ended = new AbortController();
      started.once("exit", () => ended.abort(new Error(`The node ended: ${words}`)));
      await command.ready.check(AbortSignal.any([ended.signal, AbortSignal.timeout(15_000)]));
    },
    end: async (signal = "SIGTERM") => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
      const exit = once(child, "exit");
      child.kill(signal);
      await exit;
      return child.exitCode;
    },
    close: async () => {
      await node.end("SIGKILL");
      await rm(directory, { recursive: true, force: true });
    },
  };
  return node;
}
