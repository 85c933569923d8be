/** What a joiner is told: the join line, the RPC that may be shown, and the flag that names another. */
import { once } from "node:events";
import { createServer } from "node:net";

import { asDigest, asRunId, type CoordinatorClient } from "@cotrain/sdk/protocol";
import { describe, expect, onTestFinished, test } from "vitest";

import { RetryableError, UserError } from "../../../offchain/src/base/index.ts";
import { factLines } from "../../../offchain/src/cli/facts.ts";
import { publicRpcOf } from "../../../offchain/src/run/facts.ts";
import { understood } from "../cli/lines.ts";
import {
  addressFor,
  checkCheckpoint,
  joinAtRest,
  portLine,
  startOnPorts,
} from "../../../offchain/src/localnet/launch.ts";
import { joinCommandFor, urlHere } from "../../../offchain/src/run/joining.ts";
import { createManualClock, passTime } from "../manualClock.ts";
import { createSupervisor, findPort, type ProcessSpec, silentLogger } from "../../../offchain/src/service/index.ts";
import type { BlobStore } from "../../../offchain/src/storage/index.ts";

const runId = asRunId(`0x${"ab".repeat(32)}`);
const here = "http://127.0.0.1:7700";
const far = "https://train.example.org:7700";

describe("the join line", () => {
  test.each([
    [here, "http://127.0.0.1:8545", "http://127.0.0.1:8545"],
    [far, "https://rpc.example.org", "https://rpc.example.org"],
    [far, "http://127.0.0.1:8545", undefined],
    [far, "http://localhost:8545", undefined],
    [far, "http://[::1]:8545", undefined],
    [far, "http://[::ffff:127.0.0.1]:8545", undefined],
    [far, "not a URL", undefined],
    ["https://YOUR-PROXY", "https://rpc.example.org", "https://rpc.example.org"],
    ["https://YOUR-PROXY", "http://127.0.0.1:8545", undefined],
    [here, null, undefined],
  ])("of %s with the RPC %s names it where the joiner reaches it", (coordinator, rpcUrl, told) => {
    const command = joinCommandFor(coordinator, runId, rpcUrl);
    const rpc = told === undefined ? "" : ` --rpc ${told}`;
    expect(command).toBe(`npm run cotrain -- worker --coordinator ${coordinator} --run ${runId}${rpc}`);
  });

  test("is a command line that the worker takes", () => {
    const line = understood(joinCommandFor(far, runId, "https://rpc.example.org").split(" ").slice(4));
    expect(line?.flags).toEqual({ coordinator: far, run: runId, rpc: "https://rpc.example.org" });
  });
});

test("the join line has the URL that --public-url tells, and behind a proxy whose name nobody told a placeholder", async () => {
  const told = understood(["up", "--public-url", "https://train.example.org/run/"])?.flags;
  expect(told).toEqual({ publicUrl: "https://train.example.org/run/" });
  const behind = { host: "127.0.0.1", tlsCert: undefined, tlsKey: undefined, behindProxy: "10.0.0.1" };
  expect(await addressFor({ ...behind, publicUrl: String(told?.["publicUrl"]) }, 7_700)).toBe(
    "https://train.example.org/run",
  );
  expect(await addressFor({ ...behind, publicUrl: undefined }, 7_700)).toBe("https://YOUR-PROXY");
  expect(await addressFor({ ...behind, behindProxy: undefined, publicUrl: undefined }, 7_700)).toBe(here);
});

test("this machine's own URL is told where others use another", () => {
  expect(urlHere({ coordinator: here, join: here })).toBeUndefined();
  expect(urlHere({ coordinator: "http://127.0.0.1:7701", join: far })).toBe("http://127.0.0.1:7701");
  expect(urlHere({ coordinator: here, join: "https://YOUR-PROXY" })).toBe(here);
});

/** What is asked of a coordinator that is away the first times it is asked for each. */
async function joinedWith(awayTimes: number, error: Error) {
  const clock = createManualClock();
  const asked: string[] = [];
  const control: CoordinatorClient["control"] = async (_run, _token, { action }) => {
    asked.push(action);
    if (asked.filter((each) => each === action).length <= awayTimes) throw error;
    return { accepted: true };
  };
  const launch = { clock, signal: new AbortController().signal, operatorToken: "", run: { runId } };
  const joined = joinAtRest({ control }, launch, async () => asked.push("join"));
  const outcome = await passTime(clock, joined).then(
    () => "joined",
    (ended: unknown) => ended,
  );
  return { asked, outcome };
}

describe("the first round is everyone's: the run rests until all have joined", () => {
  const away = new RetryableError("UNREACHABLE", "The coordinator does not answer.");

  test("and one that is just being started again is asked again", async () => {
    expect(await joinedWith(1, away)).toEqual({
      asked: ["pause", "pause", "join", "resume", "resume"],
      outcome: "joined",
    });
  });

  test("for a minute, and one that refuses once", async () => {
    const { asked, outcome } = await joinedWith(1_000, away);
    expect([outcome, asked.length]).toEqual([away, 121]);
    const refused = new UserError("OPERATOR_TOKEN", "Only the operator controls a run.");
    expect(await joinedWith(1, refused)).toEqual({ asked: ["pause"], outcome: refused });
  });
});

describe("an RPC", () => {
  test.each([
    ["http://127.0.0.1:8545", true],
    ["https://rpc.example.org/", true],
    ["https://rpc.example.org/v2/0123456789abcdef", false],
    ["https://rpc.example.org?key=0123456789abcdef", false],
    ["https://user:secret@rpc.example.org", false],
  ])("%s is told to others: %s", (url, told) => {
    expect(publicRpcOf(url)).toBe(told ? url : undefined);
  });

  test("another for the others is named by --public-rpc", () => {
    for (const command of ["up", "coordinator"])
      expect(understood([command, "--public-rpc", "https://rpc.example.org"])?.flags["publicRpc"]).toBe(
        "https://rpc.example.org",
      );
  });
});

const line = (ports: Parameters<typeof portLine>[2]) => portLine("the coordinator", "--port", ports);

test("a port that is not the usual one is told in one line, by what it came to be", () => {
  expect(line({ wanted: 7_700, got: 7_700, kept: undefined })).toBeUndefined();
  expect(line({ wanted: 7_700, got: 7_700, kept: 7_701 })).toBeUndefined();
  expect(line({ wanted: 0, got: 40_123, kept: undefined })).toBeUndefined();
  expect(line({ wanted: 7_700, got: 7_701, kept: undefined })).toBe(
    "Port 7700 is taken: the coordinator listens on 7701.",
  );
  expect(line({ wanted: 7_700, got: 7_702, kept: 7_701 })).toBe("Port 7701 is taken: the coordinator listens on 7702.");
  expect(line({ wanted: 7_700, got: 7_701, kept: 7_701 })).toBe(
    "The coordinator keeps port 7701, by which others know it; --port 7700 takes the usual one.",
  );
});

test("the facts of a chain are one to a line", () => {
  const lines = factLines({
    chainId: 1,
    rpc: "https://rpc.example.org/…",
    contracts: { shares: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" },
  });
  expect(lines).toEqual([
    "chain id                    1",
    "RPC                         https://rpc.example.org/…",
    "shares (ERC-20 with votes)  0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
  ]);
});

test.each([
  [new RetryableError("BLOB_STORE_AWAY", "The IPFS node does not answer."), "BLOB_STORE_AWAY"],
  [new UserError("BLOB_STORE_REFUSED", "It is not for us."), "BLOB_STORE_REFUSED"],
  [new UserError("BLOB_CORRUPTED", "It is another."), "CHECKPOINT_DAMAGED"],
])("a checkpoint that cannot be read because of %s is %s", async (thrown, code) => {
  const blobs = { get: () => Promise.reject(thrown) } as unknown as BlobStore;
  await expect(checkCheckpoint(".cotrain", blobs, asDigest(`0x${"cd".repeat(32)}`))).rejects.toMatchObject({ code });
});

/** A process that listens on a port as a coordinator does, and says what a coordinator says. */
const listener = (port: number): ProcessSpec => ({
  name: "coordinator",
  command: process.execPath,
  args: [
    "-e",
    `const port = ${port};
    const told = (message, then) => process.send(message, undefined, undefined, then ?? (() => undefined));
    require("node:net").createServer().listen({ port, host: "127.0.0.1", exclusive: true })
      .on("listening", () => told({ type: "cotrain:ready", details: { port } }))
      .on("error", ({ code }) => told(
        { type: "cotrain:error", code: code === "EADDRINUSE" ? "PORT_TAKEN" : code, message: "It is taken.", exitCode: 1 },
        () => process.exit(1)));
    process.on("disconnect", () => process.exit(0));`,
  ],
  ready: { kind: "message" },
});

/** Finds a port, and has somebody else listen there before whoever asked does, so many times. */
async function taking(times: number, explicit: boolean) {
  const supervisor = createSupervisor({ logger: silentLogger() });
  onTestFinished(() => supervisor.stopAll());
  const found: number[] = [];
  const wanted = await findPort({ port: 0, explicit: false });
  const find = async (): Promise<number> => {
    const port = await findPort({ port: wanted, explicit, purpose: "the coordinator" });
    if (found.push(port) > times) return port;
    const other = createServer().listen({ port, host: "127.0.0.1", exclusive: true });
    onTestFinished(() => void other.close());
    await once(other, "listening");
    return port;
  };
  const outcome = await startOnPorts(find, (port) => supervisor.start(listener(port))).then(
    ({ ports, started }) => ({ port: ports, state: started.state }),
    (error: UserError) => error.code,
  );
  return { found, outcome };
}

describe("a port that another session took in the same second", () => {
  test("gives way to another one", async () => {
    const { found, outcome } = await taking(2, false);
    expect(found).toHaveLength(3);
    expect(new Set(found).size).toBe(3);
    expect(outcome).toEqual({ port: found.at(-1), state: "ready" });
  });

  test("is not replaced where the user named it, nor without end", async () => {
    expect(await taking(1, true)).toMatchObject({ found: { length: 1 }, outcome: "PORT_TAKEN" });
    expect(await taking(9, false)).toMatchObject({ found: { length: 4 }, outcome: "PORT_TAKEN" });
  });
});
