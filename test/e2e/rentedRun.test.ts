/**
 * `cotrain market rent` for a run that trains: a machine of one's own is rented, fetches the coordinator's software, joins by its pass,
 * trains, and is let go at the end of a round. All of it as processes; the machine's Docker is a stand-in that runs what it is told.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import { endsWell, follow, openStage, openWatch, type Stage, until, type Watch } from "./harness.ts";
import { rentedBox } from "./rentedBox.ts";
import { trainingRun } from "./trainingRun.ts";

const IMAGE = `docker.io/library/node@sha256:${"ab".repeat(32)}`;
const USD_PER_HOUR = "0.36";

let stage: Stage;
let watch: Watch | undefined;
beforeEach(() => {
  stage = openStage();
});
afterEach(async () => {
  watch?.close();
  await stage.close();
});

interface Listed {
  readonly leases: readonly {
    readonly label: string;
    readonly state: string;
    readonly cost: string;
    readonly measured: { readonly flops: number } | null;
  }[];
}

it("a machine joins by its pass, once; trains; leaves with its round counted; is gone, and cost what its time costs", async () => {
  const { up, run, coordinator } = await trainingRun(stage);
  watch = openWatch(stage.state);
  const box = rentedBox(USD_PER_HOUR);
  const at = (name: string): string => join(stage.directory, name);
  const market = (...args: readonly string[]) => stage.cotrain(["market", ...args, `--leases=${at("leases")}`]);
  const beneficiary = `0x${"be".repeat(20)}`;
  const rent = stage.cotrain(
    [
      "market",
      "rent",
      `--coordinator=${coordinator}`,
      `--run=${run.runId}`,
      `--state=${stage.state}`,
      `--beneficiary=${beneficiary}`,
      "--budget=5",
      "--for=1500s",
      "--drain=600s",
      "--every=500ms",
      `--image=${IMAGE}`,
      "--provider=own",
      `--machines=${box.machines}`,
      `--leases=${at("leases")}`,
      `--keys=${at("keys")}`,
      `--cache=${at("cache")}`,
      "--yes",
    ],
    ["env", "-u", "npm_execpath", "-u", "npm_lifecycle_event", `PATH=${box.path}`],
  );
  const worker = await follow(
    watch,
    "work of the rented machine that counts",
    ({ leases = {}, totals }) => {
      assert(rent.exit() === undefined, rent.stderr() + box.log());
      const found = Object.values(leases).find(({ worker: key }) => key !== null)?.worker;
      return found && (totals[found] ?? 0) > 0 ? found : undefined;
    },
    900,
  );
  expect(watch.state().members[worker]).toMatchObject({ beneficiary });
  await until("its heartbeat with who rents", () => / at own is joined$/m.test(rent.stderr()));
  const [label = ""] = /ct-[\w-]+(?= at own is joined)/.exec(rent.stderr()) ?? [];

  // Another key with the same pass.
  const pass = box.environment(label)["JOIN_PASS_0"] ?? "";
  writeFileSync(at("pass"), pass);
  const thief = () =>
    stage.cotrain([
      "worker",
      `--coordinator=${coordinator}`,
      `--pass=${at("pass")}`,
      `--state=${at("thief")}`,
      "--threads=1",
      "--log=json",
    ]);
  const second = thief();
  expect(await second.exited).toMatchObject({ code: 1 });
  expect(second.stderr()).toContain("Another key joined by lease");

  // What runs there is the coordinator's own software, in whose place nothing else would have been started.
  const start = box.read(`start.${label}`);
  for (const flag of ["--coordinator", "--run", "--passes", "--state"]) expect(start).toContain(flag);

  rent.kill("SIGINT");
  await endsWell(rent);
  watch.look();
  const events = watch.history.map(({ event }) => event);
  const ended = events.findIndex(({ type }) => type === "LeaseEnded");
  const left = events.findIndex((event) => event.type === "MemberLeft" && event.worker === worker);
  expect(ended).toBeGreaterThan(0);
  expect(left).toBeGreaterThan(ended);
  expect(events[left]).toMatchObject({ reason: "left" });
  // It left nothing undone.
  const before = watch.history[left]?.before;
  expect(before?.current?.work[worker]?.receipt).not.toBeNull();
  expect(rent.stderr()).toContain(`${label} at own is draining: It was interrupted.`);
  expect(rent.stderr()).toContain(`${label} at own is gone`);
  expect(box.isRunning()).toBe(false);

  const listing = market("list", "--all", "--json");
  await endsWell(listing);
  const { leases } = JSON.parse(listing.stdout()) as Listed;
  expect(leases).toMatchObject([{ label, state: "gone" }]);
  const shown = market("cost", "--json");
  await endsWell(shown);
  expect(Number(leases[0]?.cost)).toBeGreaterThan(0);
  // By the work that counted: a plan knows such a machine from now on.
  expect(leases[0]?.measured?.flops).toBeGreaterThan(0);
  expect(shown.stdout()).toContain(leases[0]?.cost);

  const late = thief();
  expect(await late.exited).toMatchObject({ code: 0 });
  expect(late.stderr()).toContain("was ended by its renter");

  const idle = stage.cotrain(["machine", `--passes=${at("none")}`, "--log-level=error"]);
  expect(await idle.exited).toMatchObject({ code: 1 });
  up.kill("SIGINT");
  await up.exited;
  await stage.empty(30);
});
