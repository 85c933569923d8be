import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, expectTypeOf, test } from "vitest";

import {
  account,
  choice,
  commandLineOf,
  didYouMean,
  duration,
  hash,
  integer,
  parseAddress,
  parseDuration,
  showDuration,
  parsePort,
  parseSize,
  port,
  readConfigFile,
  real,
  resolveConfig,
  size,
  wordsOf,
  text,
  toggle,
  url,
  variableOf,
} from "../../../../offchain/src/service/settings/settings.ts";
import { flagOf } from "../../../../offchain/src/base/index.ts";
import { temporaryDirectory } from "../support.ts";

const options = {
  preset: choice(["tiny", "small"], { description: "Model size", default: "tiny" }),
  roundDeadline: duration({ description: "How long a round may take", default: 30_000 }),
  port: port({ description: "Where to listen", default: 8_080 }),
  workers: integer(1, 64, { description: "How many workers", default: 3 }),
  rpc: url({ description: "Chain to use" }),
  token: text({ description: "Access token", secret: true }),
  bodyLimit: size({ description: "Largest body", default: 1_048_576 }),
  exit: toggle({ description: "End after the summary", default: false }),
  outerLr: real(0, 2, { description: "Outer learning rate", default: 0.7 }),
  payee: account({ description: "Who is paid" }),
  checkpoint: hash({ description: "Which checkpoint" }),
  device: wordsOf(/^(cpu|wasm)$/, "one of cpu, wasm", { description: "What to compute with", default: ["cpu"] }),
};
const none = { environment: {} };

test("a flag wins over a variable, that over the file, that over the default, and each says where it came from", () => {
  const file = { path: "cotrain.json", values: { workers: 5, port: 9_000, preset: "small", roundDeadline: "1m" } };
  const environment = { COTRAIN_WORKERS: "6", COTRAIN_PORT: "9001" };
  const { values, origins, explicit } = resolveConfig(options, { flags: { workers: "7" }, environment, file });
  expect(values).toMatchObject({
    workers: 7,
    port: 9_001,
    preset: "small",
    roundDeadline: 60_000,
    outerLr: 0.7,
    rpc: undefined,
  });
  expect(origins).toMatchObject({
    workers: "flag",
    port: "environment",
    preset: "file",
    outerLr: "default",
    rpc: "unset",
  });
  expect([explicit("port"), explicit("outerLr"), explicit("rpc")]).toEqual([true, false, false]);
});

test("a list is read from a flag as from a file, and written as a flag takes it", () => {
  const { values } = resolveConfig(options, { flags: { device: "wasm, cpu" }, environment: {} });
  expectTypeOf(values.device).toEqualTypeOf<readonly string[]>();
  expect(values.device).toEqual(["wasm", "cpu"]);
  expect(commandLineOf(options, { device: values.device })).toEqual(["--device", "wasm,cpu"]);
  const file = { path: "c.json", values: { device: ["cpu", "cpu"] } };
  expect(resolveConfig(options, { environment: {}, file }).values.device).toEqual(["cpu", "cpu"]);
});

test("values have the types of their options, undefined only without a default", () => {
  const { values } = resolveConfig(options, none);
  expectTypeOf(values.workers).toEqualTypeOf<number>();
  expectTypeOf(values.preset).toEqualTypeOf<"tiny" | "small">();
  expectTypeOf(values.rpc).toEqualTypeOf<string | undefined>();
  expect(values.exit).toBe(false);
});

test.each([
  [{ flags: { workers: "0" } }, '--workers must be an integer from 1 to 64, not "0".'],
  [{ flags: { workers: "3.5" } }, '--workers must be an integer from 1 to 64, not "3.5".'],
  [
    { flags: { device: "cpu,gpu" } },
    '--device must be one of cpu, wasm, or several with commas between, not "cpu,gpu".',
  ],
  [{ flags: { device: "" } }, '--device must be one of cpu, wasm, or several with commas between, not "".'],
  [{ flags: { workers: true } }, "--workers must be an integer from 1 to 64, not true."],
  [{ flags: { roundDeadline: "45" } }, '--round-deadline must be a duration such as 45s, 3m or 1h, not "45".'],
  [{ environment: { COTRAIN_PRESET: "huge" } }, 'COTRAIN_PRESET must be one of tiny, small, not "huge".'],
  [
    { environment: { COTRAIN_RPC: "localhost:8545" } },
    'COTRAIN_RPC must be a URL that starts with http:// or https://, not "localhost:8545".',
  ],
  [
    { file: { path: "c.json", values: { port: 70_000 } } },
    '"port" in c.json must be a port from 0 to 65535, not 70000.',
  ],
  [
    { file: { path: "c.json", values: { outerLr: "fast" } } },
    '"outerLr" in c.json must be a number from 0 to 2, not "fast".',
  ],
  [
    { file: { path: "c.json", values: { roundDeadline: 45 } } },
    '"roundDeadline" in c.json must be a duration such as 45s, 3m or 1h, not 45.',
  ],
  [{ file: { path: "c.json", values: { exit: null } } }, '"exit" in c.json must be true or false, not null.'],
  [
    { flags: { payee: `0x${"0".repeat(40)}` } },
    `--payee must be an address of 0x and 40 hex digits that is not zero, in one case or with the checksum of EIP-55 in its casing, not "0x${"0".repeat(40)}".`,
  ],
  [{ flags: { checkpoint: "newest" } }, '--checkpoint must be 0x and 64 hex digits, not "newest".'],
  [{ flags: { token: "" } }, "--token must be a text that is not empty."],
])("a value that is not allowed names its source and what is: %j", (sources, message) => {
  expect(() => resolveConfig(options, { ...none, ...sources })).toThrow(
    expect.objectContaining({ name: "UserError", code: "CONFIG_INVALID", message }),
  );
});

test("an unknown key in the file is an error with the nearest known one", () => {
  const file = { path: "c.json", values: { worker: 3 } };
  expect(() => resolveConfig(options, { ...none, file })).toThrow(
    'c.json has an unknown key "worker". Did you mean "workers"?',
  );
  const far = { path: "c.json", values: { xyzzy: 3 } };
  expect(() => resolveConfig(options, { ...none, file: far })).toThrow(/unknown key "xyzzy"\.$/);
  expect(() => resolveConfig(options, { ...none, file: far, knownElsewhere: ["xyzzy"] })).not.toThrow();
});

test("an unknown variable is a warning, since others may own it; an empty one is not set", () => {
  const { values, warnings } = resolveConfig(options, {
    environment: { COTRAIN_WORKRS: "9", COTRAIN_PORT: "", HOME: "/" },
  });
  expect(values.port).toBe(8_080);
  expect(warnings).toEqual([
    'The environment variable COTRAIN_WORKRS is not read by anything. Did you mean "COTRAIN_WORKERS"?',
  ]);
});

test("config files are one JSON object", async () => {
  const path = join(await temporaryDirectory(), "cotrain.json");
  await writeFile(path, '{"workers": 4}');
  expect(resolveConfig(options, { ...none, file: await readConfigFile(path) }).values.workers).toBe(4);
  await writeFile(path, "[1]");
  await expect(readConfigFile(path)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  await writeFile(path, "{");
  await expect(readConfigFile(path)).rejects.toMatchObject({ code: "JSON_INVALID" });
});

test("durations are shown as they are typed", () => {
  expect([180_000, 5_400_000, 250, 90_061_001, 0].map(showDuration)).toEqual([
    "3m",
    "1h30m",
    "250ms",
    "1d1h1m1s1ms",
    "0s",
  ]);
});

test("durations, sizes and ports", () => {
  expect(["45s", "3m", "1h30m", "250ms", "1.5h", "0s"].map(parseDuration)).toEqual([
    45_000, 180_000, 5_400_000, 250, 5_400_000, 0,
  ]);
  expect(["", "45", "s", "-3m", "3 m", "3x", "9".repeat(30) + "d"].map(parseDuration)).toEqual(
    Array(7).fill(undefined),
  );
  expect(["0", "4096", "64KiB", "10MB", "1.5GiB", "2 kB"].map(parseSize)).toEqual([
    0, 4_096, 65_536, 10_000_000, 1_610_612_736, 2_000,
  ]);
  expect(["", "-1", "1e3", "5XB", "KiB"].map(parseSize)).toEqual(Array(5).fill(undefined));
  expect(["0", "80", "65535"].map(parsePort)).toEqual([0, 80, 65_535]);
  expect(["65536", "-1", "8080a", ""].map(parsePort)).toEqual(Array(4).fill(undefined));
});

test("an address as people type it: a casing that is no checksum tells of a slip, and nobody has the key of zero", () => {
  // From EIP-55.
  const right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
  const lower = right.toLowerCase();
  expect([right, lower, `0x${lower.slice(2).toUpperCase()}`].map(parseAddress)).toEqual([lower, lower, lower]);
  const slips = [right.replace("5aA", "5AA"), right.replace("6053", "6035"), right.slice(0, -1), right.slice(2), ""];
  for (const slip of [...slips, `${right}0`, ` ${right}`, `0X${lower.slice(2)}`, `0x${"0".repeat(40)}`])
    expect(parseAddress(slip)).toBeUndefined();
  expect(resolveConfig(options, { ...none, flags: { payee: right } }).values.payee).toBe(lower);
});

test("one name in three spellings", () => {
  expect([variableOf("roundDeadline"), flagOf("roundDeadline")]).toEqual([
    "COTRAIN_ROUND_DEADLINE",
    "--round-deadline",
  ]);
  expect(didYouMean("pesets", ["preset", "port"])).toBe(' Did you mean "preset"?');
  expect(didYouMean("a", ["preset", "port"])).toBe("");
});
