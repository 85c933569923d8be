/** Metrics of the coordinator, `cotrain_coordinator_*`. */
import type { Metrics } from "../service/index.ts";
import type { Run } from "./run.ts";

export interface CoordinatorMetrics {
  /** Payload bytes that arrived. */
  received(bytes: number): void;
  /** Blob bytes that went out, to whomever. */
  sent(bytes: number): void;
  refused(code: string): void;
  effectFailed(kind: string, code: string): void;
  roundEnded(seconds: number): void;
  /** Gauges of a run. */
  watch(run: Run): void;
}

export function createCoordinatorMetrics(metrics: Metrics): CoordinatorMetrics {
  const received = metrics.counter({
    name: "cotrain_coordinator_received_bytes_total",
    help: "Payload bytes accepted.",
  });
  const sent = metrics.counter({
    name: "cotrain_coordinator_sent_bytes_total",
    help: "Blob bytes sent, to workers and others.",
  });
  const refusals = metrics.counter({
    name: "cotrain_coordinator_refusals_total",
    help: "Requests refused, by code.",
    labels: ["code"],
  });
  const failures = metrics.counter({
    name: "cotrain_coordinator_effect_failures_total",
    help: "Effects that failed and were tried again, by kind and code.",
    labels: ["kind", "code"],
  });
  const rounds = metrics.histogram({
    name: "cotrain_coordinator_round_seconds",
    help: "Time from a round's opening to its durable checkpoint.",
    buckets: [1, 2, 4, 8, 15, 30, 60, 120, 300, 900, 3_600],
  });
  const runs: Run[] = [];
  const sum = (of: (run: Run) => number) => () => runs.reduce((total, run) => total + of(run), 0);
  const gauge = (name: string, help: string, of: (run: Run) => number): void => {
    metrics.gauge({ name: `cotrain_coordinator_${name}`, help, collect: sum(of) });
  };
  gauge("completed_rounds", "Rounds completed.", ({ driver }) => driver.state.round);
  gauge("trained_tokens", "Tokens in accepted payloads.", ({ driver }) => driver.state.checkpoint.tokens);
  gauge("members_count", "Members.", ({ driver }) => Object.keys(driver.state.members).length);
  gauge(
    "unanchored_heads_count",
    "Heads that are not on-chain yet.",
    ({ driver }) => driver.state.heads.filter(({ anchor }) => anchor === null).length,
  );
  gauge("pending_effects_count", "Effects under way.", ({ driver }) => Object.keys(driver.state.pending).length);
  gauge("logged_events_count", "Events in the log.", ({ driver }) => driver.seq);
  return {
    received: (bytes) => received.increment(bytes),
    sent: (bytes) => sent.increment(bytes),
    refused: (code) => refusals.increment(1, { code }),
    effectFailed: (kind, code) => failures.increment(1, { kind, code }),
    roundEnded: (seconds) => rounds.observe(seconds),
    watch: (run) => void runs.push(run),
  };
}
