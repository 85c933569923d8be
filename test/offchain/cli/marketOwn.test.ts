/** One's own machines, rented by `cotrain market rent` and ended by it or by what looks after it, as processes. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, expect, test } from "vitest";

import { labelOf } from "../../../offchain/src/market/base/labels.ts";
import { type OwnBox, ownBox } from "../market/renting/ownBox.ts";
import { cotrain, cotrainHere, type Ended, temporaryDirectory } from "./support.ts";

const IMAGE = `ghcr.io/cotrain/worker@sha256:${"ab".repeat(32)}`;

let box: OwnBox;
let directory: string;

beforeEach(() => {
  box = ownBox();
  directory = temporaryDirectory();
  writeFileSync(join(directory, "start.sh"), "echo begins\n");
});

const at = () => [
  `--leases=${join(directory, "leases")}`,
  `--machines=${box.machines}`,
  "--provider=own",
  "--every=300ms",
  `--keys=${join(directory, "keys")}`,
];

/** A command, which gets a signal once it has said something. */
function market(args: readonly string[], said?: RegExp, signal: "SIGINT" | "SIGKILL" = "SIGINT"): Promise<Ended> {
  let isSent = false;
  return cotrain(["market", ...args, ...at()], {
    environment: { PATH: box.path },
    onStderr: (stderr, child) => {
      if (isSent || said?.test(stderr) !== true) return;
      isSent = true;
      child.kill(signal);
    },
  });
}
const rent = (signal: "SIGINT" | "SIGKILL"): Promise<Ended> =>
  market(
    [
      "rent",
      "--budget=5",
      "--yes",
      `--image=${IMAGE}`,
      `--start=${join(directory, "start.sh")}`,
      `--cache=${join(directory, "cache")}`,
    ],
    / at own is joined$/m,
    signal,
  );

interface Listed {
  readonly installation: string;
  readonly leases: readonly { readonly label: string; readonly state: string; readonly cost: string }[];
}
async function listed(): Promise<Listed> {
  const { stdout } = await cotrainHere(["market", "list", `--leases=${join(directory, "leases")}`, "--all", "--json"]);
  return JSON.parse(stdout) as Listed;
}
const isRunning = (): boolean => existsSync(join(box.home, "container"));

test(
  "it runs what is given, is no bill, and is left as it was after Ctrl-C; a stranger of ours is collected",
  { timeout: 300_000 },
  async () => {
    expect(await rent("SIGINT")).toMatchObject({ code: 0 });
    expect(box.read("ran")).toContain(IMAGE);
    expect(isRunning()).toBe(false);
    const { installation, leases } = await listed();
    expect(leases).toMatchObject([{ state: "gone", cost: "0" }]);

    const stranger = labelOf({ installation, lease: "deadbeef", attempt: 1 });
    box.write("container", `${stranger} running\n`);
    const { stderr } = await market(["reconcile", "--once"]);
    expect(stderr).toContain(`${stranger} at own has a label of ours`);
    expect((await market(["gc"])).code).toBe(0);
    expect(isRunning()).toBe(false);
  },
);

test("after kill -9 it goes on, until a watchdog ends it or its renter does", { timeout: 300_000 }, async () => {
  await rent("SIGKILL");
  expect(isRunning()).toBe(true);
  const watched = await market(["watchdog", "--patience=1s"], /was told to end/);
  expect(watched.stderr).toContain("Watching Own machines for installation ");
  expect(isRunning()).toBe(false);
  expect(await market(["terminate", "--all"])).toMatchObject({ code: 0 });
  expect((await listed()).leases).toMatchObject([{ state: "gone" }]);
});
