/** Which of this machine's devices can train, how fast each is, and which is taken where nobody names one. */
import { availableParallelism } from "node:os";

import { CotrainError } from "@cotrain/sdk/base";
import type { Hex } from "@cotrain/sdk/protocol";

import { systemClock } from "../../../base/core.ts";
import { EngineError } from "../../errors.ts";
import { measureSteps } from "../../measure.ts";
import { buildPrograms } from "../../programs.ts";
import { presets } from "../../presets.ts";
import { type Adapter, type Device, placeOf } from "../device.ts";
import { devicesHere } from "./devices.ts";

/** What is measured: the preset that `npm start` takes. */
export const MEASURED = "1m";
/**
 * What trying all devices may take where some hang, ms. One that gives no answer for half of what is left of it hangs; one that goes on
 * answering is slow, as all are on a busy machine, and may take longer.
 */
const PATIENCE_MS = 50_000;
/** Of {@link PATIENCE_MS}, what each has at least. */
const LEAST_SHARE = 1 / 8;
/** Times as long as a processor was silent before it: what a driver has at least, since busy neighbours hold up both. */
const LEAST_RATIO = 4;
/** What is said of a device that did not answer. */
const HUNG = "no answer in time";
/** Nats per token that a loss may be off the CPU's: other orders of sums cost less than a hundredth of it. */
const TOLERANCE = 1e-3;

/** What a device did when it was tried. */
export interface Probe {
  readonly device: Device;
  /** Undefined where it cannot train, or does not by itself. */
  readonly tokensPerSecond: number | undefined;
  /** On how many threads; undefined where it cannot train, or where a GPU computes. */
  readonly threads?: number | undefined;
  readonly adapter: Adapter | undefined;
  /** What it computes of the preset that is measured: its conformance value. */
  readonly value: Hex | undefined;
  /** Why not, a sentence. */
  readonly missing: string | undefined;
  /** The same in a word or two. */
  readonly lack: string | undefined;
}

interface ProbeOptions {
  /** How long steps of each device are counted, ms. */
  readonly milliseconds: number;
  /** Threads where there are several; default all, as a worker that is told nothing takes them. */
  readonly threads?: number | undefined;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Default: all of this machine, the CPU first, whose losses the others are held against. */
  readonly tried?: readonly Device[];
  /** How long all of them may take where some hang, ms. */
  readonly patience?: number;
}

/** Tries one device after the other: it must open, take steps with the CPU's losses, and give its state back. */
export async function probeDevices(options: ProbeOptions): Promise<Probe[]> {
  const { tried = await devicesHere(), signal, patience = PATIENCE_MS } = options;
  const until = systemClock.monotonic() + patience;
  const probes: Probe[] = [];
  let due: readonly number[] | undefined;
  let silence = 0;
  for (const device of tried) {
    signal?.throwIfAborted();
    const least = Math.max(patience * LEAST_SHARE, Math.min(patience, LEAST_RATIO * silence));
    const left = Math.max(least, (until - systemClock.monotonic()) / 2);
    // It is drivers that hang: a processor that is silent has busy neighbours.
    const share = Math.max(1, Math.round(device.exact ? patience : left));
    // Several GPUs share the time of one.
    const milliseconds =
      options.milliseconds / tried.filter(({ name }) => placeOf(name) === placeOf(device.name)).length;
    const { probe, losses, silent } = await probeDevice(device, due, { ...options, milliseconds, patience: share });
    due ??= losses;
    if (device.exact) silence = Math.max(silence, silent);
    // Once for all drivers: a machine may have sixteen GPUs that hang alike.
    else if (probe.lack === HUNG) silence = 0;
    probes.push(probe);
  }
  signal?.throwIfAborted();
  return probes;
}

async function probeDevice(
  device: Device,
  due: readonly number[] | undefined,
  { milliseconds, threads = availableParallelism(), signal, patience }: ProbeOptions & { readonly patience: number },
): Promise<{ readonly probe: Probe; readonly losses?: readonly number[]; readonly silent: number }> {
  const hung = new AbortController();
  const late = hung.signal;
  const waiting = setTimeout(() => hung.abort(), patience);
  let adapter: Adapter | undefined;
  let heard = systemClock.monotonic();
  let silent = 0;
  const failed = (lack: string, missing: string) => ({
    probe: { device, tokensPerSecond: undefined, value: undefined, adapter, missing, lack },
    silent,
  });
  try {
    const { losses, tokensPerSecond, value, ...took } = await measureSteps(device, presets[MEASURED], {
      milliseconds,
      clock: systemClock,
      threads,
      signal: signal ? AbortSignal.any([late, signal]) : late,
      answered: () => {
        waiting.refresh();
        const now = systemClock.monotonic();
        silent = Math.max(silent, now - heard);
        heard = now;
      },
      opened: (found) => {
        adapter = found;
        if (found?.software) throw inSoftware(device, found);
      },
    });
    if (!losses.every(Number.isFinite) || due?.some((loss, i) => Math.abs(loss - (losses[i] ?? NaN)) > TOLERANCE))
      return failed("other losses", wrong(losses, due));
    const used = device.exact ? took.threads : undefined;
    const probe = { device, tokensPerSecond, threads: used, value, adapter, missing: undefined, lack: undefined };
    return { probe, losses, silent };
  } catch (error) {
    // The signal's own reason where it came before anything was open that it could end.
    if (late.aborted && (error === late.reason || error instanceof CotrainError))
      return failed(
        HUNG,
        `It gave no answer for ${(patience / 1_000).toFixed(1)} s while it was to train the preset ${MEASURED}.`,
      );
    if (!(error instanceof CotrainError)) throw error;
    return failed(lackOf(error), error.message);
  } finally {
    clearTimeout(waiting);
  }
}

/** What an error says of a device, in a word or two. */
function lackOf({ code, details }: CotrainError): string {
  const lacking = details?.["lacking"];
  if (code === "DEVICE_SOFTWARE") return "in software";
  return code === "DEVICE_MISSING" ? `no ${typeof lacking === "string" ? lacking : "device"}` : "failed";
}

/** What opening a small program may take, ms; shaders are compiled later. */
const OPENING_MS = 60_000;

const DOCTOR = '"npx cotrain doctor" says what this machine has';
const AUTO_TOO = `${DOCTOR}, and --device auto takes the fastest that is there.`;

/** Why a GPU cannot be opened; undefined where it can, or dies of it, which is for whoever trains on it. */
async function absence(
  device: Device,
  signal: AbortSignal | undefined,
  patience: number,
): Promise<EngineError | undefined> {
  const late = AbortSignal.timeout(patience);
  const { model, microBatch } = presets["0.1m"];
  const programs = { step: buildPrograms(model, { microBatch }).step.bytes };
  try {
    const engine = await device.open({ programs, threads: 1, signal: signal ? AbortSignal.any([late, signal]) : late });
    await engine.close();
    return undefined;
  } catch (error) {
    signal?.throwIfAborted();
    if (late.aborted) return new EngineError("DEVICE_SILENT", "It did not open a small program in time.");
    return error instanceof EngineError ? error : undefined;
  }
}

interface RequireOptions {
  readonly signal?: AbortSignal;
  readonly patience?: number;
  /** Whether `auto` could stand in their place; default true. */
  readonly auto?: boolean;
}

/**
 * That one of these devices can be opened at all, before anything is fetched or made for it. A processor always is.
 * @throws EngineError `DEVICE_*` with what is lacking; the signal's reason
 */
export async function requireDevice(
  named: readonly Device[],
  { signal, patience = OPENING_MS, auto = true }: RequireOptions = {},
): Promise<void> {
  if (named.some(({ exact }) => exact)) return;
  const absent: [name: string, error: EngineError][] = [];
  for (const device of named) {
    const error = await absence(device, signal, patience);
    if (!error) return;
    absent.push([device.name, error]);
  }
  const why = absent.map(([name, { message }]) => `${name}: ${message}`).join(" ");
  const [first] = absent;
  if (first) throw new EngineError(first[1].code, `${why} ${auto ? AUTO_TOO : `${DOCTOR}.`}`, { cause: first[1] });
}

/** It takes a processor that the CPU's own code uses better, and minutes for what is measured in seconds. */
const inSoftware = ({ name }: Device, adapter: Adapter): EngineError =>
  new EngineError("DEVICE_SOFTWARE", `${adapter.name} is a GPU in software: --device ${name} takes it, auto does not.`);

/** A device that opens for nobody where it is a GPU in software: what is taken without being named. @throws `DEVICE_SOFTWARE` too */
export const inHardware = (device: Device): Device => ({
  ...device,
  open: async (options) => {
    const engine = await device.open(options);
    try {
      const adapter = engine.pid === undefined ? undefined : await device.adapter?.(engine.pid);
      if (adapter?.software) throw inSoftware(device, adapter);
      return engine;
    } catch (error) {
      await engine.close();
      throw error;
    }
  },
});

const shown = (losses: readonly number[]): string => losses.map((loss) => loss.toFixed(4)).join(", ");
const wrong = (losses: readonly number[], due: readonly number[] | undefined): string =>
  `It computes something else: the losses of the first steps are ${shown(losses)}${due ? `, the CPU's ${shown(due)}` : ""}.`;

/** Those that train, the fastest first. */
export const ranked = (probes: readonly Probe[]): readonly Probe[] =>
  probes
    .filter(({ tokensPerSecond }) => tokensPerSecond !== undefined)
    .toSorted((a, b) => (b.tokensPerSecond ?? 0) - (a.tokensPerSecond ?? 0));

interface ChosenDevices {
  /** The fastest first; where it is lost, the next is taken. */
  readonly names: readonly string[];
  /** Which, and why. */
  readonly sentence: string;
}

const speed = ({ tokensPerSecond = 0 }: Probe): string => Math.round(tokensPerSecond).toLocaleString("en-US");

/**
 * The devices to train on where nobody named one.
 * @throws EngineError `DEVICE_MISSING` where none can train
 */
export function chooseDevices(probes: readonly Probe[]): ChosenDevices {
  const [first, ...others] = ranked(probes);
  const rest = probes.filter(({ tokensPerSecond }) => tokensPerSecond === undefined);
  if (!first) {
    const why = rest.map(({ device, missing }) => `${device.name}: ${missing}`);
    throw new EngineError("DEVICE_MISSING", `No device of this machine can train. ${why.join(" ")}`);
  }
  const clauses = [
    `${speed(first)} tokens/s of the preset ${MEASURED}`,
    ...others.map((other) => `${other.device.name} ${speed(other)}`),
    ...rest.map(({ device, lack }) => `${device.name} ${lack ?? "failed"}`),
  ];
  const by = first.adapter === undefined ? "" : ` (${first.adapter.name})`;
  return {
    names: [first, ...others].map(({ device }) => device.name),
    sentence: `Trains on ${first.device.name}${by}, the fastest device here: ${clauses.join(", ")}; "npx cotrain doctor" says more.`,
  };
}
