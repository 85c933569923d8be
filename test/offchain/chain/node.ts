/** A real anvil as its own process, as the supervisor starts it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type AnvilCommand, anvilCommand, type NodeLink, openNodeLink } from "../../../offchain/src/chain/index.ts";

export interface TestNode {
  /** Takes every method, as a development node of somebody's own does; the embedded one's door does not. */
  readonly url: string;
  /** The private way. */
  readonly link: NodeLink;
  readonly stateFile: string;
  readonly directory: string;
  /** What the node wrote to stderr. */
  readonly words: () => string;
  start(): Promise<void>;
  /** SIGTERM, or SIGKILL at once. */
  end(signal?: "SIGTERM" | "SIGKILL"): Promise<number | null>;
  close(): Promise<void>;
}

/** HTTP in front of a node's socket that lets everything through. */
async function createBridge(link: NodeLink): Promise<{ url: string; close(): Promise<void> }> {
  const answer = async (body: string): Promise<string> => {
    const { id, method, params } = JSON.parse(body) as { id: number; method: string; params: unknown };
    const content = await link.request(method, params).then(
      (result) => ({ result }),
      (error: unknown) => {
        if (error instanceof Error && "answer" in error) return { error: error.answer };
        throw error;
      },
    );
    return JSON.stringify({ jsonrpc: "2.0", id, ...content });
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      answer(Buffer.concat(chunks).toString()).then(
        (text) => response.writeHead(200, { "content-type": "application/json" }).end(text),
        // As if nothing listened.
        () => response.destroy(),
      );
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** @param blockTime seconds, 0 mines on demand */
export async function createNode(blockTime: number): Promise<TestNode> {
  const directory = await mkdtemp(join(tmpdir(), "cotrain-chain-"));
  const stateFile = join(directory, "chain.json");
  const command: AnvilCommand = anvilCommand({ stateFile, blockTime });
  const link = openNodeLink(command.socket);
  const bridge = await createBridge(link);
  let child: ChildProcess | undefined;
  let words = "";
  const node: TestNode = {
    url: bridge.url,
    link,
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
      link.close();
      await bridge.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return node;
}
