/**
 * A bound on how long an engine may be silent. A GPU's driver that hangs answers nothing and ends nothing, and whoever waits for it
 * waits for ever: its round, and the request to stop.
 */
import { unlessAborted } from "../base/core.ts";
import { EngineClosedError, RuntimeError } from "./errors.ts";

/** What computes is gone, out of memory or reset: its process died, or it answered with an error. */
export const isLost = (error: unknown): boolean => error instanceof EngineClosedError || error instanceof RuntimeError;

/** How long an engine may give no answer and tell of no progress, ms. */
export interface EngineLimits {
  /** Training; or {@link SILENT_STEPS} steps, where that is more. */
  readonly silence: number;
  /** Taking, reading and hashing the state; or what {@link BYTES_PER_MS} makes of it, where that is more. */
  readonly answer: number;
  /** Closing, which waits for what was asked before. */
  readonly close: number;
  /** A training that is to stop, which it does after the steps that are running; or {@link STOP_STEPS} times what they take. */
  readonly stop: number;
  /** Opening a program, which some drivers compile first, and computing the conformance value: nobody knows yet what a step takes. */
  readonly conformance: number;
}

/** The conformance value of 150m took more than two minutes of a processor's time. */
export const ENGINE_LIMITS: EngineLimits = {
  silence: 60_000,
  answer: 20_000,
  close: 60_000,
  stop: 5_000,
  conformance: 15 * 60_000,
};
/** How long a device may take until a worker can join with it, ms: its program is opened, then its conformance value computed. */
export const PREPARATION_MS = 2 * ENGINE_LIMITS.conformance;
/** The state of 150m is 1.8 GB, which seconds bring down, on a busy machine ten times as many: a minute. */
const BYTES_PER_MS = 30_000;
/** An engine that is to close may take so long once its worker is to stop. */
const CLOSE_STOPPED_MS = 1_000;
/** A machine that others use may be slower by far than when it was measured. */
const SILENT_STEPS = 20;
/** Those that are running, on a machine that is slower than before. */
const STOP_STEPS = 3;

/** Waits for an engine's calls, and for none once it was silent for too long: then they reject with EngineClosedError. */
export interface EngineGuard {
  /** Aborted then: what was opened with it ends. */
  readonly signal: AbortSignal;
  /** Opening and proving, which are of no use once nobody waits for it. */
  prepared<T>(call: () => Promise<T>): Promise<T>;
  /** A call that takes, reads or hashes the state. */
  answered<T>(call: () => Promise<T>): Promise<T>;
  /** One batch of held-out loss. Until one was measured nobody knows what it takes: it has the time of an opening. */
  evaluated<T>(call: () => Promise<T>): Promise<T>;
  closed(call: () => Promise<void>): Promise<void>;
  /**
   * @param call tells of its progress by `heard`
   * @param signal that it stops by
   */
  trained<T>(call: (heard: () => void) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Says what a step takes. */
  measured(stepMs: number): void;
}

/** What an engine has to do at once, at most. */
interface EngineWork {
  /** Its parameters, and the optimizer's tensors: fp32. */
  readonly held: readonly { readonly shape: readonly number[] }[];
  /** About how long steps take that nothing stops; default 0. */
  readonly blockMs?: number;
  /** Ms that are left for opening and proving together, where that is less than the limits allow. */
  readonly patience?: number | undefined;
  /** It gets only what nobody else wants of the processor, so that it may have to wait for long: all has the time of an opening. */
  readonly yields?: boolean;
}

/** @param stopped the request to stop, once nothing that is being opened or proven is of use */
export function createEngineGuard(
  limits: EngineLimits,
  stopped: AbortSignal,
  { held, blockMs = 0, patience = Infinity, yields = false }: EngineWork,
): EngineGuard {
  const ending = new AbortController();
  const stateBytes = held.reduce((sum, { shape }) => sum + 4 * shape.reduce((all, length) => all * length, 1), 0);
  const preparedBy = performance.now() + patience;
  let stepMs = 0;

  const expire = (ms: number): void =>
    ending.abort(new EngineClosedError(`The engine gave no answer within ${Number((ms / 1_000).toPrecision(2))} s.`));

  /** @param stop how long it may take once this signal is aborted, ms */
  async function within<T>(
    ms: number,
    call: (heard: () => void) => Promise<T>,
    stop?: { readonly signal: AbortSignal; readonly ms: number },
  ): Promise<T> {
    const silence = countdown(ms, expire);
    let stopping: Countdown | undefined;
    const onStop = (): void => {
      if (stop) stopping = countdown(stop.ms, expire);
    };
    if (stop?.signal.aborted) onStop();
    stop?.signal.addEventListener("abort", onStop, { once: true });
    try {
      return await unlessAborted(
        call(() => silence.restart()),
        ending.signal,
      );
    } finally {
      stop?.signal.removeEventListener("abort", onStop);
      silence.end();
      stopping?.end();
    }
  }

  const patient = (ms: number): number => (yields ? Math.max(ms, limits.conformance) : ms);
  const silence = (): number => Math.max(limits.silence, SILENT_STEPS * stepMs);
  const stopMs = (): number => STOP_STEPS * Math.max(stepMs, blockMs);
  return {
    signal: ending.signal,
    prepared: (call) => {
      const left = Math.max(0, preparedBy - performance.now());
      return within(Math.min(limits.conformance, left), call, { signal: stopped, ms: 0 });
    },
    // Steps have ended before any of these is asked.
    answered: (call) => within(patient(Math.max(limits.answer, stateBytes / BYTES_PER_MS)), call),
    evaluated: async (call) => {
      const startedAt = performance.now();
      const result = await within(stepMs === 0 ? limits.conformance : patient(silence()), call);
      stepMs = performance.now() - startedAt;
      return result;
    },
    // What it holds is of no use to whoever was told to stop, who has other things to end in the same few seconds.
    closed: (call) => within(limits.close, call, { signal: stopped, ms: CLOSE_STOPPED_MS }),
    trained: (call, signal) => within(silence(), call, { signal, ms: Math.max(limits.stop, stopMs()) }),
    measured: (ms) => {
      stepMs = ms;
    },
  };
}

interface Countdown {
  restart(): void;
  end(): void;
}

/** Parts of a countdown. Each counts once however long it was: when this process, or the machine, slept, nobody was silent. */
const PARTS = 20;

function countdown(ms: number, expire: (ms: number) => void): Countdown {
  let passed = 0;
  const timer = setInterval(() => {
    if (++passed === PARTS) expire(ms);
  }, ms / PARTS);
  return {
    restart: () => {
      passed = 0;
    },
    end: () => clearInterval(timer),
  };
}
