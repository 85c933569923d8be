import { expect, test } from "vitest";

import { createMetrics } from "../../../../offchain/src/service/http/metrics.ts";

test("counters, gauges and histograms come out as Prometheus text", async () => {
  const metrics = await createMetrics({ process: false });
  const rounds = metrics.counter({ name: "cotrain_coordinator_rounds_total", help: "Rounds closed." });
  rounds.increment();
  rounds.increment(2);
  metrics.gauge({ name: "cotrain_worker_step_count", help: "Steps.", labels: ["worker"] }).set(5, { worker: "0xaa" });
  metrics.gauge({ name: "cotrain_coordinator_queue_count", help: "Jobs.", collect: () => 9 });
  const seconds = metrics.histogram({ name: "cotrain_round_duration_seconds", help: "Length.", buckets: [1, 10] });
  seconds.observe(3);
  const text = await metrics.text();
  for (const line of [
    "cotrain_coordinator_rounds_total 3",
    'cotrain_worker_step_count{worker="0xaa"} 5',
    "cotrain_coordinator_queue_count 9",
    'cotrain_round_duration_seconds_bucket{le="10"} 1',
  ]) {
    expect(text).toContain(line);
  }
});

test.each([
  "rounds_total",
  "cotrain_rounds",
  "cotrain_Worker_loss_nats",
  "cotrain_worker_loss_apples",
  "cotrain_worker_loss_nats",
])("%s is no name for a counter", async (name) => {
  const metrics = await createMetrics({ process: false });
  expect(() => metrics.counter({ name, help: "x" })).toThrow(expect.objectContaining({ code: "METRIC_NAME" }));
});

test("nobody can make series without end, and places are given back", async () => {
  const metrics = await createMetrics({ process: false });
  const gauge = metrics.gauge({ name: "cotrain_worker_step_count", help: "Steps.", labels: ["worker"] });
  for (let n = 0; n < 1_000; n++) gauge.set(n, { worker: `w${n}` });
  const series = async (): Promise<number> =>
    (await metrics.text()).split("\n").filter((line) => line.startsWith("cotrain_")).length;
  expect(await series()).toBe(257);
  expect(await metrics.text()).toContain('{worker="other"} 999');
  gauge.remove({ worker: "w1" });
  gauge.set(1, { worker: "late" });
  expect(await metrics.text()).toContain('{worker="late"} 1');
  expect(await series()).toBe(257);
});
