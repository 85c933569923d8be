/** Conformance values that take longer, and those of other processors than this one: qemu-user runs the engine as an x86 of another kind. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { conformance, type Device, type PresetName } from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { type DebianPackage, prepareDebianPackage, rootOf } from "../debianPackage.ts";
import { mismatch, stepOf, vectorOf } from "../vectors/conformance.ts";
import { root } from "./copy.ts";

const place = (of: string): string => join(of, "usr/bin/qemu-x86_64-static");
const QEMU: DebianPackage = {
  name: "qemu-user",
  package: "qemu-user-static",
  isThere: (of) => existsSync(place(of)),
};
const LIMIT_MINUTES = 30;
const EMULATED = "0.1m";

/** The conformance value of a processor that qemu knows by this name, by its own code or on WebAssembly, or why there is none. */
function emulated(
  processor: string,
  device: "cpu" | "wasm" = "cpu",
): { readonly value?: string; readonly problem?: string } {
  const { kind, words } = prepareDebianPackage(QEMU);
  const qemu = rootOf(QEMU);
  if (kind !== "ready" || qemu === undefined) return { problem: words };
  const script = join(root, "test/thorough/emulated.ts");
  const { status, stdout, stderr } = spawnSync(
    place(qemu),
    ["-cpu", processor, process.execPath, "--conditions=cotrain-source", script, EMULATED, device],
    { cwd: root, encoding: "utf8", timeout: LIMIT_MINUTES * 60_000 },
  );
  const value = stdout.trim();
  return status === 0 && /^0x[0-9a-f]{64}$/.test(value)
    ? { value }
    : { problem: `${EMULATED} on ${device} as ${processor} ended with ${status}: ${(stderr || stdout).slice(-1_000)}` };
}

/** Threads change no bit, and two of them halve minutes. */
const THREADS = 2;

const large = async (device: Device, preset: PresetName): Promise<string | undefined> =>
  mismatch(device, preset, await conformance(device.open, stepOf(preset), THREADS));

const tries: Readonly<Record<string, () => Promise<string | undefined> | string | undefined>> = {
  "20m on this processor": async () => large(devices.cpu, "20m"),
  "20m on WebAssembly": async () => large(devices.wasm, "20m"),
  "60m on this processor, which takes 5 GiB": async () => large(devices.cpu, "60m"),
  /** AVX2 and FMA, and nothing newer. */
  "0.1m as a Haswell": () => {
    const { value, problem } = emulated("Haswell");
    const vector = vectorOf("exact-x86", EMULATED);
    return problem ?? (value === vector ? undefined : `a Haswell has ${value}, not the vector of exact-x86, ${vector}`);
  },
  /** Other bits: why such processors are a class of their own, and that it is the emulated processor whose bits are seen. */
  "0.1m as a Nehalem, which has neither AVX2 nor FMA": () => {
    const { value, problem } = emulated("Nehalem");
    return problem ?? (value === vectorOf("exact-x86", EMULATED) ? "a Nehalem has the bits of exact-x86" : undefined);
  },
  "0.1m on WebAssembly as a Nehalem, which has there the bits of all others": () => {
    const { value, problem } = emulated("Nehalem", "wasm");
    const vector = vectorOf("exact-wasm", EMULATED);
    return problem ?? (value === vector ? undefined : `on WebAssembly a Nehalem has ${value}, not ${vector}`);
  },
};

export const processorItems = (): readonly string[] => Object.keys(tries);

/** @returns what is wrong, if something is */
export const tryProcessor = async (item: string): Promise<string | undefined> =>
  tries[item] ? tries[item]() : "there is no such processor";
