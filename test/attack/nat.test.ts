/**
 * Many members behind one address, as in a lab or behind a provider's NAT, and a stranger among them: what the stranger sends
 * is refused after a while, and costs none of the members his place.
 */
import { once } from "node:events";

import { asDigest, canonicalJson, routes, sessionHeaders, sessionMac } from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";
import { afterEach, expect, it, onTestFinished } from "vitest";

import { sha256Bytes, systemClock } from "../../offchain/src/base/index.ts";
import { fragmentLayouts } from "../../offchain/src/diloco/index.ts";
import { createRemote } from "../../offchain/src/worker/artefacts.ts";
import { DEFAULT_BACKOFF } from "../../offchain/src/worker/options.ts";
import { fetchBase } from "../../offchain/src/worker/index.ts";
import { type Harness, openHarness, runId, table, type TestWorker } from "../offchain/coordinator/harness.ts";
import { openSocket } from "./sockets.ts";

const NAT = "203.0.113.9";
/** What one address may send in a minute, and a member too. */
const LIMIT = 1_200;

let harness: Harness;
afterEach(() => harness.close());

/** Workers behind the NAT that joined. */
async function crowd(count: number): Promise<TestWorker[]> {
  harness = await openHarness({ params: { minWorkers: 1, maxWorkers: 64 } });
  const workers = Array.from({ length: count }, (_, i) => harness.worker((0x40 + i).toString(16), { from: NAT }));
  for (const worker of workers) await worker.join();
  return workers;
}

const idle = { round: 0, step: 0, loss: null, tokensPerSecond: null, uploading: false };
/** The code of what a heartbeat is refused with. */
const beat = (worker: TestWorker): Promise<string> =>
  worker.session.heartbeat(idle).then(
    () => "heard",
    (error: unknown) => (error instanceof CotrainError ? error.code : String(error)),
  );
const forged = async (worker: string, body = canonicalJson(idle)): Promise<number> => {
  const { statusCode } = await harness.app.inject({
    method: "POST",
    url: routes.heartbeat(runId),
    remoteAddress: NAT,
    headers: {
      "content-type": "application/json",
      [sessionHeaders.worker]: worker,
      [sessionHeaders.counter]: "1",
      [sessionHeaders.mac]: `0x${"00".repeat(32)}`,
    },
    payload: body,
  });
  return statusCode;
};
/** Sends one more than an address may, and some. @returns the statuses, each once, and the last */
async function flood(send: () => Promise<number>): Promise<{ statuses: number[]; last: number }> {
  const statuses: number[] = [];
  for (let n = 0; n < LIMIT + 10; n++) statuses.push(await send());
  return { statuses: [...new Set(statuses)], last: statuses.at(-1)! };
}

it("throw-away keys have no limits of their own once a run is over: their address pays for all of them", async () => {
  const [member] = await crowd(1);
  await member!.train();
  await harness.run.driver.submit({ type: "RunFinished" });
  const keys = [harness.worker("60", { from: NAT }), harness.worker("61", { from: NAT })];
  for (const key of keys) await key.join();
  const heard = { heard: 0, RATE_LIMITED: 0 } as Record<string, number>;
  for (let n = 0; n < LIMIT; n++) for (const key of keys) heard[await beat(key)]! += 1;
  expect(heard).toEqual({ heard: expect.any(Number), RATE_LIMITED: expect.any(Number) });
  expect(heard["heard"]).toBeGreaterThan(LIMIT / 2);
  expect(heard["heard"]).toBeLessThanOrEqual(LIMIT);
  // Who is a member still has its own.
  expect(await beat(member!)).toBe("heard");
});

// foundation 5
it("64 members behind one address beat for a minute; none is refused or evicted", async () => {
  const workers = await crowd(64);
  const heard = new Set<string>();
  for (let second = 0; second < 60; second++) {
    for (const worker of workers) heard.add(await beat(worker));
    await harness.clock.advance(1_000);
    await harness.run.presence.check();
  }
  expect([...heard]).toEqual(["heard"]);
  const { members } = harness.run.driver.state;
  expect(Object.keys(members)).toHaveLength(64);
  expect(Object.values(members).filter(({ silent }) => silent)).toEqual([]);
});

it("a flood from the members' own address without a session, or in a member's name, is limited and costs no member his own", async () => {
  const [first, second] = await crowd(2);
  const named = await flood(() => forged(first!.address));
  expect(named).toEqual({ statuses: [401, 429], last: 429 });
  // Bodies that cannot be parsed, of nobody, of a run that is not: all are the address's.
  expect(await forged(first!.address, "{")).toBe(429);
  expect(await forged("")).toBe(429);
  expect(await forged(`0x${"ee".repeat(20)}`)).toBe(429);
  const url = routes.heartbeat(`0x${"0".repeat(64)}` as typeof runId);
  expect((await harness.app.inject({ method: "POST", url, remoteAddress: NAT })).statusCode).toBe(429);
  for (const worker of [first!, second!]) expect(await beat(worker)).toBe("heard");
  const { prepared } = await first!.train();
  expect(prepared.assignment.worker).toBe(first!.address);
});

it("a request in a member's name without its key is refused before its body has come, also where none does", async () => {
  const [member] = await crowd(1);
  const port = Number(new URL(await harness.app.listen({ port: 0, host: "127.0.0.1" })).port);
  const headers = [
    `POST ${routes.receipts(runId)} HTTP/1.1`,
    "host: 127.0.0.1",
    "content-type: application/json",
    "content-length: 5000",
    `${sessionHeaders.worker}: ${member!.address}`,
    `${sessionHeaders.counter}: 1`,
    `${sessionHeaders.mac}: 0x${"00".repeat(32)}`,
  ];
  const socket = await openSocket({ port }, `${headers.join("\r\n")}\r\n\r\n{`);
  onTestFinished(() => void socket.destroy());
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 401 [\s\S]*BAD_MAC/);
});

/** As a worker reads its base: the manifest, then its own part of each fragment's shard, two at a time. */
async function download(worker: TestWorker, refused: string[]): Promise<void> {
  const first = new AbortController();
  const retry = {
    clock: systemClock,
    backoff: DEFAULT_BACKOFF,
    random: Math.random,
    signal: first.signal,
    onRetry: (error: unknown) => {
      refused.push(error instanceof CotrainError ? error.code : String(error));
      first.abort();
    },
  };
  const blobs = createRemote(worker.client, runId, retry, (call) => call(worker.session));
  const { checkpoint, facts } = harness.run.driver.state;
  const assignment = { round: checkpoint.round, base: checkpoint.digest, globalStep: checkpoint.step };
  await fetchBase(assignment, { runId, layouts: fragmentLayouts(table), table: facts.table, blobs });
}

it("64 members behind one address fetch the checkpoint of each round at once, ten times in a minute, also beside a stranger who downloads all that the address may; none is refused, none is silent", async () => {
  const workers = await crowd(64);
  const stranger = harness.worker("a0", { from: NAT });
  const manifest = asDigest(harness.run.driver.state.checkpoint.digest);
  const strange = await flood(() =>
    stranger.client.blob(runId, manifest, 1 << 20).then(
      () => 200,
      (error: { status: number }) => error.status,
    ),
  );
  expect(strange).toEqual({ statuses: [200, 429], last: 429 });
  const refused: string[] = [];
  for (let round = 0; round < 10; round++) {
    const read = await Promise.allSettled(workers.map((worker) => download(worker, refused)));
    expect(refused).toEqual([]);
    expect(read.filter(({ status }) => status === "fulfilled")).toHaveLength(64);
    await harness.clock.advance(4_000);
    await harness.run.presence.check();
  }
  expect(Object.values(harness.run.driver.state.members).filter(({ silent }) => silent)).toEqual([]);
  expect(Object.keys(harness.run.driver.state.members)).toHaveLength(64);
});

it("a download in a member's name without its key, or with a copy of its headers, is the stranger's", async () => {
  const [member] = await crowd(1);
  const url = routes.blob(runId, asDigest(harness.run.driver.state.checkpoint.digest));
  const get = (headers: Record<string, string>) =>
    harness.app.inject({ method: "GET", url, remoteAddress: NAT, headers });
  const named = await flood(async () => {
    const mac = `0x${"00".repeat(32)}`;
    const headers = {
      [sessionHeaders.worker]: member!.address,
      [sessionHeaders.counter]: "1",
      [sessionHeaders.mac]: mac,
    };
    return (await get(headers)).statusCode;
  });
  expect(named).toEqual({ statuses: [200, 429], last: 429 });
  const mac = await sessionMac(member!.sessionKey, {
    method: "GET",
    path: url,
    body: sha256Bytes(new Uint8Array()),
    counter: 1,
  });
  const own = { [sessionHeaders.worker]: member!.address, [sessionHeaders.counter]: "1", [sessionHeaders.mac]: mac };
  expect([(await get(own)).statusCode, (await get(own)).statusCode]).toEqual([200, 429]);
});

it("64 members whose coordinator lost their sessions join again at once", async () => {
  const workers = await crowd(64);
  await harness.restart();
  const joined = await Promise.all(workers.map((worker) => worker.join().then(() => "joined", String)));
  expect(new Set(joined)).toEqual(new Set(["joined"]));
});

it("a member has as much as an address and no more, and takes it from nobody else", async () => {
  const [greedy, other] = await crowd(2);
  const codes: string[] = [];
  for (let n = 0; n < LIMIT + 10; n++) codes.push(await beat(greedy!));
  expect([codes.indexOf("RATE_LIMITED"), codes.at(-1)]).toEqual([LIMIT, "RATE_LIMITED"]);
  expect(await beat(other!)).toBe("heard");
});
