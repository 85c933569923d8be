/**
 * An honest member's requests beside the attacks on sockets: how long a heartbeat and a small blob take, alone and beside an
 * attacker that is a process of its own, all with one coordinator in one run.
 *
 * Alone: node --conditions=cotrain-source test/bench/sockets.ts
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import { asDigest, type Digest } from "@cotrain/sdk/protocol";

import { createRandom, InternalError } from "../../offchain/src/base/index.ts";
import type { Attack, Orders } from "./attacker.ts";
import { idleBeat, joinMember, type LightRun, type Member, openLightRun } from "./lightRun.ts";
import { type BenchOptions, type Row, whole } from "./report.ts";

/** More than the coordinator keeps open, of the size of a large model's. */
const SHARDS = 24;
const SHARD_BYTES = 10 << 20;

const attacks: readonly (readonly [attack: Attack | undefined, what: string])[] = [
  [undefined, "alone"],
  ["idle", "beside 2,000 idle connections"],
  ["slow", "beside 1,000 slow readers"],
  ["ranges", `beside one-byte ranges over ${SHARDS} shards of 10 MiB, 32 at a time`],
  ["receipts", "beside bad receipts repeated by a member, 4 at a time"],
];

/** Milliseconds of each request that was answered, and how many were not. */
interface Sample {
  readonly heartbeats: number[];
  readonly blobs: number[];
  failed: number;
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;

interface Latency {
  readonly median: number;
  readonly p99: number;
}

const latencyOf = (times: readonly number[]): Latency => {
  const sorted = times.toSorted((a, b) => a - b);
  return { median: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
};

/** Heartbeats and downloads of one member in turns, as soon as the one before is answered. */
async function probe({ session }: Member, blob: Digest, seconds: number): Promise<Sample> {
  const sample: Sample = { heartbeats: [], blobs: [], failed: 0 };
  const time = async (into: number[], call: () => Promise<unknown>): Promise<void> => {
    const start = performance.now();
    try {
      await call();
      into.push(performance.now() - start);
    } catch {
      sample.failed += 1;
    }
  };
  const end = performance.now() + seconds * 1_000;
  while (performance.now() < end) {
    await time(sample.heartbeats, () => session.heartbeat(idleBeat));
    await time(sample.blobs, () => session.blob(blob, 1 << 20));
  }
  return sample;
}

/** An attacker at work. */
async function attacking(orders: Orders): Promise<AsyncDisposable> {
  const child = fork(fileURLToPath(new URL("./attacker.ts", import.meta.url)), { serialization: "advanced" });
  const exit = once(child, "exit");
  child.send(orders);
  const begun = await Promise.race([once(child, "message"), exit.then(() => undefined)]);
  if (!begun) throw new InternalError("ATTACKER_ENDED", "The attacker ended before it had begun.");
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await exit;
    },
  };
}

async function shardsOf({ blobs }: LightRun): Promise<Digest[]> {
  const random = createRandom("shards");
  const digests: Digest[] = [];
  for (let n = 0; n < SHARDS; n++) digests.push((await blobs.put(random.bytes(SHARD_BYTES))).digest);
  return digests;
}

export async function benchmarkSockets({ quick, note }: BenchOptions): Promise<Row[]> {
  const seconds = quick ? 1 : 5;
  note("a coordinator of 0.1m for an honest member and an attacker");
  await using run = await openLightRun("0.1m", 2);
  const { runId, domain, coordinator } = run;
  const { definition, build, buildDigest } = run.material;
  const shards = await shardsOf(run);
  const member = await joinMember(run);
  const blob = asDigest((await coordinator.run(runId)).checkpoint.digest);
  // What is compiled and opened at the first request belongs to no measurement.
  await probe(member, blob, 1);
  const rows: Row[] = [];
  let alone: { readonly heartbeat: Latency; readonly blob: Latency } | undefined;
  for (const [attack, what] of attacks) {
    note(`an honest member's heartbeats and downloads, ${what}`);
    const material = { definition, build, buildDigest };
    await using _ = attack && (await attacking({ attack, url: coordinator.url, runId, domain, material, shards }));
    const { heartbeats, blobs, failed } = await probe(member, blob, seconds);
    const measured = { heartbeat: latencyOf(heartbeats), blob: latencyOf(blobs) };
    alone ??= measured;
    const tell = (kind: "heartbeat" | "blob"): string => {
      const [now, then] = [measured[kind], alone?.[kind] ?? measured[kind]];
      const times = (key: keyof Latency): string =>
        `${now[key].toFixed(1)} ms${attack ? ` (${(now[key] / then[key]).toFixed(1)}×)` : ""}`;
      return `${times("median")}, ${times("p99")}`;
    };
    rows.push({
      what: `an honest member's heartbeat, and GET of a small blob, ${what}: median, 99th percentile`,
      goal: "all answered",
      result: `${tell("heartbeat")}; ${tell("blob")}; ${whole(heartbeats.length + blobs.length)} answered, ${failed} not`,
      met: failed === 0,
    });
  }
  return rows;
}

if (import.meta.main) {
  const rows = await benchmarkSockets({
    quick: true,
    note: (line) => void process.stderr.write(`${line}\n`),
  });
  for (const { what, result } of rows) process.stdout.write(`${what}: ${result}\n`);
}
