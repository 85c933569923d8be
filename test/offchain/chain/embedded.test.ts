/** The embedded chain is this machine's alone. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, expect, it } from "vitest";

import { anvilCommand } from "../../../offchain/src/chain/index.ts";
import { canRun } from "../../needs.ts";
import { createNode, type TestNode } from "./node.ts";

let node: TestNode;
beforeAll(async () => {
  node = await createNode(0);
  await node.start();
});
afterAll(() => node?.close());

/** Addresses on which somebody listens at this port, as the kernel writes them. */
function listeners(port: number): string[] {
  const own = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return ["tcp", "tcp6"].flatMap((name) =>
    readFileSync(join("/proc/net", name), "latin1")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local, , state]) => state === "0A" && local?.endsWith(own))
      .map(([, local = ""]) => local.slice(0, -own.length)),
  );
}

it("is told to listen on loopback", () => {
  const { args, url } = anvilCommand({ stateFile: join(node.directory, "other.json"), port: 9 });
  expect(args[args.indexOf("--host") + 1]).toBe("127.0.0.1");
  expect(url).toBe("http://127.0.0.1:9");
});

it.runIf(canRun("where the embedded chain listens", "linux"))("listens there and nowhere else", () => {
  expect(listeners(Number(new URL(node.url).port))).toEqual(["0100007F"]);
});
