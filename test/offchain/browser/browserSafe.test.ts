/** The rooms that a browser tab would run, bundled as for a browser and run in a context that has the web's globals alone. */
import { type Context, createContext, runInContext } from "node:vm";

import { beforeAll, describe, expect, test } from "vitest";

import type { Hex } from "@cotrain/sdk/protocol";

import { createRandom, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { permutationOf } from "../../../offchain/src/data/index.ts";
import { fragmentLayouts } from "../../../offchain/src/diloco/index.ts";
import { buildPrograms, presetOf, readSignature } from "../../../offchain/src/engine/index.ts";
import { blake3Of, encodeFragment } from "../../../offchain/src/worker/index.ts";
import { bundleForBrowsers } from "../../bundle.ts";

/** Entrances that lead to no module of Node's. */
const ROOMS = ["base", "engine", "diloco", "data", "storage", "worker"];
/** What a page has that JavaScript itself does not. */
const WEB = [
  "AbortController",
  "AbortSignal",
  "clearTimeout",
  "crypto",
  "fetch",
  "Headers",
  "MessageChannel",
  "performance",
  "Response",
  "setTimeout",
  "TextDecoder",
  "TextEncoder",
  "URL",
  "URLSearchParams",
] as const;

/** What the bundle hands out, as far as it is used here. */
interface Rooms {
  createRandom: typeof createRandom;
  sha256Bytes: typeof sha256Bytes;
  permutationOf: typeof permutationOf;
  buildPrograms: typeof buildPrograms;
  presetOf: typeof presetOf;
  readSignature: typeof readSignature;
  fragmentLayouts: typeof fragmentLayouts;
  blake3Of: typeof blake3Of;
  encodeFragment: typeof encodeFragment;
}

let code: string;
let node: readonly string[];

beforeAll(async () => {
  const entry = ROOMS.map((room) => `export * from "./${room}/index.ts";`).join("\n");
  ({ code, node } = await bundleForBrowsers(entry, "iife"));
});

test("reach no module of Node's and no package that needs one", () => {
  expect(node).toEqual([]);
});

test("nor do the devices of a browser", async () => {
  const { node } = await bundleForBrowsers('export * from "./engine/runtime/browser/index.ts";', "esm");
  expect(node).toEqual([]);
});

test("an entrance of Node's is found out", async () => {
  const { node } = await bundleForBrowsers('export * from "./base/node/index.ts";', "iife");
  expect(node).toContainEqual(expect.stringMatching(/^node:fs.* from offchain\/src\/base\/node\//));
});

describe("without Node's globals", () => {
  let rooms: Rooms;
  let context: Context;
  const seed: Hex = `0x${"5a".repeat(32)}`;

  beforeAll(() => {
    context = createContext(Object.fromEntries(WEB.map((name) => [name, globalThis[name]])));
    rooms = runInContext(`${code}; rooms`, context) as Rooms;
  });

  test("there are none", () => {
    const kinds = runInContext("typeof process + typeof Buffer + typeof setImmediate + typeof require", context);
    expect(kinds).toBe("undefined".repeat(4));
  });

  test("hashes, random numbers and the order of data are Node's", async () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i);
    expect(rooms.sha256Bytes(bytes)).toBe(sha256Bytes(bytes));
    expect(rooms.createRandom("seed").split("label").uint32()).toBe(createRandom("seed").split("label").uint32());
    expect([0, 1, 2, 3].map(rooms.permutationOf(seed, 3, 1_000))).toEqual(
      [0, 1, 2, 3].map(permutationOf(seed, 3, 1_000)),
    );
    const tensors = [Float32Array.of(1, 2, 3), new Float32Array(5_000_000)];
    expect(await rooms.blake3Of(tensors)).toBe(await blake3Of(tensors));
  });

  test("the inner step's program is built and inspected as under Node", () => {
    const { model, microBatch } = presetOf("0.1m");
    const outline = ({ buildPrograms, readSignature }: Rooms): unknown => {
      const { step } = buildPrograms(model, { microBatch });
      const { parameters, state, batch, model: graph } = readSignature(step.bytes, 2 ** 30);
      return JSON.stringify([step.digest, parameters, state, batch, graph.peak]);
    };
    expect(outline(rooms)).toBe(outline({ buildPrograms, readSignature } as Rooms));
  });

  test("a payload is encoded to the same bytes", async () => {
    const [layout] = fragmentLayouts([{ name: "w", shape: [70_000], fragment: 0 }]);
    const random = createRandom("values");
    const values = (): Float32Array => Float32Array.from({ length: 70_000 }, () => random.normal());
    const [base, local, residual] = [values(), new Map([["w", values()]]), values()];
    // It writes the residual over the base.
    const input = () => ({ codec: 1, layout: layout!, base: base.slice(), local, residual });
    const { bytes, digest } = await encodeFragment(input());
    const other = await rooms.encodeFragment(input());
    expect(other.digest).toBe(digest);
    expect(sha256Bytes(other.bytes)).toBe(sha256Bytes(bytes));
  });
});
