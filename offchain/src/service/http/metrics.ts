/**
 * Metrics in Prometheus' text format, named `cotrain_<area>_<what>_<unit>`. Label values are bounded: beyond the limit they
 * all count as "other", so that nobody can fill memory by inventing members.
 */
import { InternalError } from "../../base/index.ts";

/** Units a name may end in; counters end in `_total` after one of the others or alone. */
const UNITS = ["seconds", "bytes", "tokens", "ratio", "total", "count", "steps", "nats", "bits", "rounds", "info"];
const NAME = new RegExp(`^cotrain_[a-z]+(_[a-z0-9]+)+_(${UNITS.join("|")})$`);
const MAX_LABEL_VALUES = 256;

type Labels = Readonly<Record<string, string>>;

interface MetricOptions {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
}

interface CounterMetric {
  increment(by?: number, labels?: Labels): void;
}
interface GaugeMetric {
  set(value: number, labels?: Labels): void;
  /** Forgets one series, e.g. of a member that left. */
  remove(labels: Labels): void;
}
interface HistogramMetric {
  observe(value: number, labels?: Labels): void;
}

/** The metrics of one process. */
export interface Metrics {
  counter(options: MetricOptions): CounterMetric;
  gauge(
    options: MetricOptions & { /** Called when the metrics are read. */ readonly collect?: () => number },
  ): GaugeMetric;
  histogram(options: MetricOptions & { readonly buckets: readonly number[] }): HistogramMetric;
  /** What `/metrics` answers. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** @param options.process also Node's own: CPU, memory, event loop lag (default true) */
export async function createMetrics(options: { readonly process?: boolean } = {}): Promise<Metrics> {
  // Large, and few commands count anything.
  const { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } = await import("prom-client");
  const registry = new Registry();
  if (options.process ?? true) collectDefaultMetrics({ register: registry });

  return {
    counter: ({ name, help, labels = [] }) => {
      check(name, true);
      const counter = new Counter({ name, help, labelNames: [...labels], registers: [registry] });
      const bound = boundLabels();
      return { increment: (by = 1, given = {}) => counter.inc(bound(given), by) };
    },
    gauge: ({ name, help, labels = [], collect }) => {
      check(name, false);
      const gauge = new Gauge({
        name,
        help,
        labelNames: [...labels],
        registers: [registry],
        ...(collect && {
          collect() {
            this.set(collect());
          },
        }),
      });
      const bound = boundLabels();
      return {
        set: (value, given = {}) => gauge.set(bound(given), value),
        remove: (given) => {
          gauge.remove({ ...given });
          bound.forget(given);
        },
      };
    },
    histogram: ({ name, help, labels = [], buckets }) => {
      check(name, false);
      const histogram = new Histogram({
        name,
        help,
        labelNames: [...labels],
        buckets: [...buckets],
        registers: [registry],
      });
      const bound = boundLabels();
      return { observe: (value, given = {}) => histogram.observe(bound(given), value) };
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

/**
 * A text that is made at most once in so many ms, however many ask for it.
 * @param monotonic ms that only ever rise
 */
export function keptFor(ms: number, monotonic: () => number, make: () => Promise<string>): () => Promise<string> {
  let kept: { readonly since: number; readonly text: Promise<string> } | undefined;
  return () => {
    const now = monotonic();
    if (!kept || now - kept.since >= ms) kept = { since: now, text: make() };
    return kept.text;
  };
}

function check(name: string, counter: boolean): void {
  if (!NAME.test(name) || counter !== name.endsWith("_total")) {
    throw new InternalError(
      "METRIC_NAME",
      `${name} is not named cotrain_<area>_<what>_<unit> with one of the units ${UNITS.join(", ")} (counters: _total).`,
    );
  }
}

interface LabelBound {
  (labels: Labels): Record<string, string>;
  /** Gives the values' places back. */
  forget(labels: Labels): void;
}

/** Replaces values by "other" once a label has had its share of different ones. */
function boundLabels(): LabelBound {
  const seen = new Map<string, Set<string>>();
  const bound = (labels: Labels): Record<string, string> => {
    const out: Record<string, string> = {};
    for (const [name, value] of Object.entries(labels)) {
      const values = seen.get(name) ?? new Set();
      seen.set(name, values);
      if (values.size < MAX_LABEL_VALUES) values.add(value);
      out[name] = values.has(value) ? value : "other";
    }
    return out;
  };
  return Object.assign(bound, {
    forget: (labels: Labels) => {
      for (const [name, value] of Object.entries(labels)) seen.get(name)?.delete(value);
    },
  });
}
