/**
 * What a directory goes on with where an RPC lies of its model's runs: an invented run is not taken up, costs the run that goes on
 * nothing, and is gone back from.
 */
import { cpSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";

import { runRegistryAbi } from "@cotrain/sdk/abis";
import { setStatus } from "@cotrain/sdk/actions";
import { asModelId, asRunId, digestOfJson, type Hex, type RunId, runIdOf, runStatus } from "@cotrain/sdk/protocol";
import { decodeFunctionResult, encodeFunctionResult, toEventSelector, toFunctionSelector, toHex } from "viem";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import { openLocalRun, takeUpNextRun } from "../../../offchain/src/run/index.ts";
import { seenTwice } from "../../../offchain/src/run/takeUp.ts";
import { writeRunFile } from "../../../offchain/src/service/index.ts";
import { listening } from "../../loopback.ts";
import { createManualClock } from "../manualClock.ts";
import { staged } from "./staged.ts";

const development = vi.hoisted(() => ({ chainId: 31_337 }));
vi.mock("../../../offchain/src/chain/index.ts", async (original) => ({
  ...(await original<object>()),
  get DEVELOPMENT_CHAIN_ID() {
    return development.chainId;
  },
}));

/** A clock that goes on for as long as somebody sleeps. */
function createSleptClock() {
  const clock = createManualClock(0);
  return { ...clock, sleep: async (ms: number) => clock.advance(ms) };
}

interface Asked {
  readonly method: string;
  readonly params?: readonly { readonly data?: string; readonly topics?: readonly unknown[] }[];
}
interface Answer {
  result: unknown;
}
const asText = (value: unknown): string => JSON.stringify(value).toLowerCase();
const replaced = <T>(value: T, from: string, to: string): T =>
  JSON.parse(JSON.stringify(value).replaceAll(new RegExp(from.slice(2), "gi"), to.slice(2))) as T;

const functionOf = (name: string) =>
  runRegistryAbi.find((item) => item.type === "function" && item.name === name) as never;
const registered = toEventSelector(
  runRegistryAbi.find((item) => item.type === "event" && item.name === "RunRegistered") as never,
);

describe("on a chain", () => {
  const stage = staged([]);
  const salt = digestOfJson("a run that nobody registered");
  const servers: Server[] = [];

  beforeEach(() => cpSync(join(stage.node.directory, "blobs"), join(stage.state, "blobs"), { recursive: true }));
  afterEach(() => {
    development.chainId = 31_337;
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  const invented = (): RunId => {
    const { chainId, contracts, modelId } = stage.world;
    return asRunId(runIdOf(BigInt(chainId), contracts.runRegistry, modelId, salt));
  };

  async function answerOf(asked: Asked): Promise<Answer> {
    const { runId } = stage.world;
    const of = asText(asked).includes(invented().slice(2));
    const response = await fetch(stage.node.url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(of ? replaced(asked, invented(), runId) : asked),
    });
    const truth = (await response.json()) as Answer;
    const answer = of ? replaced(truth, runId, invented()) : truth;
    const first = asked.params?.[0];
    if (of && asked.method === "eth_call" && first?.data?.startsWith(toFunctionSelector(functionOf("runOf")))) {
      const call = { abi: runRegistryAbi, functionName: "runOf" } as const;
      const run = decodeFunctionResult({ ...call, data: answer.result as Hex });
      answer.result = encodeFunctionResult({ ...call, result: { ...run, salt } });
    }
    if (!of && asked.method === "eth_getLogs" && asText(first?.topics ?? []).includes(registered)) {
      const logs = answer.result as { logIndex: string }[];
      const more = logs.slice(0, 1).map((log) => replaced(log, runId, invented()));
      answer.result = [...logs, ...more.map((log) => ({ ...log, logIndex: toHex(Number(log.logIndex) + 1_000) }))];
    }
    return answer;
  }
  /** An RPC that shows one run more than there is: its record and checkpoint 0 are the real one's. */
  async function lying(): Promise<string> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const asked = JSON.parse(Buffer.concat(chunks).toString()) as Asked | Asked[];
        const answers = Array.isArray(asked) ? Promise.all(asked.map(answerOf)) : answerOf(asked);
        answers.then(
          (all) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(all)),
          () => response.destroy(),
        );
      });
    });
    servers.push(server);
    return listening(server);
  }

  async function ended(): Promise<void> {
    const { contracts: addresses, runId } = stage.world;
    await stage.asHolders((account) =>
      setStatus.sync(stage.client, { addresses, runId, status: runStatus.finished, account, pollingInterval: 20 }),
    );
  }

  test("nothing follows a run that has not ended", async () => {
    const before = await openLocalRun(stage.state);
    const { run, said, keep } = await takeUpNextRun(before, await lying());
    expect([run, said?.includes(`shows run ${invented()} after run ${before.runId}, which has not ended`)]).toEqual([
      before,
      true,
    ]);
    await keep();
    expect(await openLocalRun(stage.state)).toMatchObject({ runId: before.runId, earlier: [] });
  });

  test("nor is a run taken up whose checkpoint 0 is another run's", async () => {
    await ended();
    const before = await openLocalRun(stage.state);
    const { run, said } = await takeUpNextRun(before, await lying());
    expect([run, said?.includes("its documents are not in")]).toEqual([before, true]);
  });

  test("a chain of somebody else's has a minute for the block that says the same again", async () => {
    await ended();
    const [before, rpcUrl] = [await openLocalRun(stage.state), await lying()];
    for (const [chainId, waited] of [
      [31_337, 0],
      [1, 60_000],
    ] as const) {
      development.chainId = chainId;
      const clock = createSleptClock();
      await takeUpNextRun(before, rpcUrl, clock);
      expect(clock.monotonic()).toBe(waited);
    }
  });

  test("a directory whose run the registry does not know goes back to its last one that there is", async () => {
    const { runId } = stage.world;
    const honest = await openLocalRun(stage.state);
    const gone = asRunId(digestOfJson("another that nobody registered"));
    await writeRunFile(stage.state, { ...honest.file, runId: invented(), earlier: [runId, gone] });
    const { run, said, keep } = await takeUpNextRun(await openLocalRun(stage.state), stage.node.url);
    expect(said).toBe(
      `The registry knows no run ${invented()}: this directory goes on with run ${runId}, its last one.`,
    );
    expect([run.runId, run.earlier]).toEqual([runId, []]);
    expect((await openLocalRun(stage.state)).runId).toBe(invented());
    await keep();
    expect(await openLocalRun(stage.state)).toMatchObject({ runId, earlier: [] });
    // Of a model of which the registry knows no run at all nothing is guessed.
    await writeRunFile(stage.state, { ...honest.file, runId: invented(), earlier: [gone] });
    await expect(takeUpNextRun(await openLocalRun(stage.state), stage.node.url)).rejects.toMatchObject({
      code: "RUN_UNKNOWN",
    });
  });
});

describe("two looks", () => {
  const [old, next, other] = ["old", "next", "other"].map((name) => asRunId(digestOfJson(name)));
  const directory = { modelId: asModelId(digestOfJson("model")), runId: old!, earlier: [] };
  type Readers = Parameters<typeof seenTwice>[0];

  /** A chain that makes a block every two seconds, and tells each reader what its turn has it tell. */
  function chainThat(
    tells: (turn: number, block: number) => { readonly runs: readonly RunId[]; readonly open?: RunId },
  ) {
    const clock = createSleptClock();
    const blockNow = (): number => Math.floor(clock.monotonic() / 2_000);
    const looks: number[] = [];
    const readerOf = (() => {
      const turn = looks.length;
      looks.push(-1);
      const told = () => tells(turn, blockNow());
      const known = (runId: RunId): void => {
        if (!told().runs.includes(runId)) throw new UserError("RUN_UNKNOWN", "There is no such run.");
      };
      return {
        tip: async () => ({ block: blockNow(), hash: "0x", parentHash: "0x" }),
        runsOf: async () => {
          looks[turn] = blockNow();
          return told().runs;
        },
        runStatus: async (runId: RunId) => (told().open === runId ? runStatus.open : runStatus.finished),
        run: async (runId: RunId) => {
          known(runId);
          return { runId };
        },
      };
    }) as unknown as Readers;
    const look = (patience = 60_000) => seenTwice(readerOf, directory, { clock, patience });
    return { look, looks };
  }

  test("the second is of a later block, by a reader of its own", async () => {
    const { look, looks } = chainThat(() => ({ runs: [old!, next!] }));
    expect(await look()).toEqual({ own: old, next, before: [old] });
    expect(looks).toEqual([0, 1]);
  });

  test("where no block comes for long enough, it is of the same one", async () => {
    const { look, looks } = chainThat(() => ({ runs: [old!, next!] }));
    expect(await look(0)).toMatchObject({ next });
    expect(looks).toEqual([0, 0]);
  });

  test("what one of them alone sees is not believed", async () => {
    const once = chainThat((turn) => ({ runs: turn === 0 ? [old!, next!] : [old!] }));
    expect(await once.look()).toBeUndefined();
    const ending = chainThat((turn) => ({ runs: [old!, next!], ...(turn === 1 && { open: old! }) }));
    expect(await ending.look()).toBeUndefined();
  });

  test("one is enough where all is as the directory has it", async () => {
    const { look, looks } = chainThat(() => ({ runs: [old!] }));
    expect(await look()).toEqual({ own: old, before: [] });
    expect(looks).toHaveLength(1);
  });

  test("a run between them that has not ended is seen", async () => {
    const { look } = chainThat(() => ({ runs: [old!, other!, next!], open: other! }));
    expect(await look()).toEqual({ own: old, next, before: [old, other], open: other });
  });
});
