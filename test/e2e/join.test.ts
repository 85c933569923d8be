/**
 * A worker joins over the network: `cotrain up --host` in one network namespace, `cotrain worker` in another, one cable
 * between them and no way out.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { systemClock } from "../../offchain/src/base/index.ts";
import { openLocalRun } from "../../offchain/src/run/index.ts";
import { openReceiptJournal } from "../../offchain/src/worker/node/index.ts";
import { canRun } from "../needs.ts";
import { follow, openStage, openWatch, type Stage, until, type Watch } from "./harness.ts";

const names = { organiser: `cotrain-a-${process.pid}`, worker: `cotrain-b-${process.pid}` };
const cable = { organiser: `cta${process.pid}`, worker: `ctb${process.pid}` };
const HOST = "10.77.0.1";
const PEER = "10.77.0.2";
const PORT = 7700;
/** Resolvable nowhere: only the certificate says it. */
const NAME = "train.cotrain.test";

let stage: Stage;
let watch: Watch | undefined;

function ip(...args: readonly string[]): void {
  const { status, error, stderr } = spawnSync("ip", [...args], { encoding: "utf8" });
  assert(
    status === 0,
    `This test needs "ip" of iproute2 and the right to make network namespaces (root, or CAP_NET_ADMIN and CAP_SYS_ADMIN): "ip ${args.join(" ")}" failed with ${error?.message ?? stderr.trim()}.`,
  );
}

const inside = (namespace: string): string[] => ["ip", "netns", "exec", namespace];

const possible = canRun("a worker in a network namespace of its own", "linux", "root", "ip", "openssl");

describe.runIf(possible)("a worker in a network namespace of its own", () => {
  beforeAll(() => {
    stage = openStage();
    for (const name of Object.values(names)) ip("netns", "add", name);
    ip(
      "link",
      "add",
      cable.organiser,
      "netns",
      names.organiser,
      "type",
      "veth",
      "peer",
      cable.worker,
      "netns",
      names.worker,
    );
    for (const [side, address] of [
      ["organiser", HOST],
      ["worker", PEER],
    ] as const) {
      ip("-n", names[side], "addr", "add", `${address}/30`, "dev", cable[side]);
      ip("-n", names[side], "link", "set", cable[side], "up");
      ip("-n", names[side], "link", "set", "lo", "up");
    }
  });
  afterAll(async () => {
    watch?.close();
    await stage?.close();
    // A namespace takes its end of the cable with it.
    for (const name of Object.values(names)) spawnSync("ip", ["netns", "delete", name]);
  });

  it("is not invited over plain HTTP by mistake: nothing is made before that is said", async () => {
    const up = stage.cotrain(
      ["up", `--state=${stage.state}`, "--preset=0.1m", `--host=${HOST}`, "--for=600s"],
      inside(names.organiser),
    );
    expect(await up.exited).toEqual({ code: 1, signal: null });
    expect(up.stderr()).toMatch(
      /^cotrain: Listening on 10\.77\.0\.1 reaches beyond this machine and needs TLS: .*\.\n$/,
    );
    expect(existsSync(stage.state)).toBe(false);
    await stage.empty(15);
  });

  it("trains there over TLS, and its receipts are acknowledged", async () => {
    const [cert, key] = [join(stage.directory, "cert.pem"), join(stage.directory, "key.pem")];
    const subject = ["-subj", `/CN=${NAME}`, "-addext", `subjectAltName=DNS:${NAME},IP:${HOST}`];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    const openssl = ["req", "-x509", ...curve, "-nodes", "-days", "1", ...subject, "-keyout", key, "-out", cert];
    const made = spawnSync("openssl", openssl, { encoding: "utf8" });
    assert(made.status === 0, made.stderr);
    const up = stage.cotrain(
      [
        "up",
        `--state=${stage.state}`,
        "--preset=0.1m",
        "--workers=1",
        "--host=0.0.0.0",
        `--tls-cert=${cert}`,
        `--tls-key=${key}`,
        "--for=600s",
      ],
      inside(names.organiser),
    );
    await until("the coordinator", () => {
      assert(up.exit() === undefined, up.stderr());
      return up.stderr().includes("Training · round");
    });
    expect(up.stderr()).toContain(`npm run cotrain -- worker --coordinator https://${NAME}:${PORT} --run 0x`);
    expect(up.stderr()).toContain(`programs on this machine reach the coordinator at http://127.0.0.1:`);
    const state = join(stage.directory, "elsewhere");
    // Whoever signs their own certificate hands it out.
    const worker = stage.cotrain(
      ["worker", `--coordinator=https://${HOST}:${PORT}`, `--state=${state}`, "--threads=1"],
      [...inside(names.worker), "env", `NODE_EXTRA_CA_CERTS=${cert}`],
    );
    const run = await openLocalRun(stage.state);
    expect(run.file.urls["coordinator"]).toMatch(/^http:\/\/127\.0\.0\.1:/);
    watch = openWatch(stage.state);
    const joined = await follow(watch, "the stranger's receipts", ({ members, totals }) => {
      assert(worker.exit() === undefined, worker.stderr());
      const own = new Set(Object.values(run.file.wallets ?? {}).map((address) => address.toLowerCase()));
      const stranger = Object.keys(members).find((address) => !own.has(address));
      return stranger !== undefined && (totals[stranger as `0x${string}`] ?? 0) > 0 ? stranger : undefined;
    });

    const file = join(state, "receipts.sqlite");
    const acknowledged = await until("its acknowledgements", async () => {
      if (!existsSync(file)) return undefined;
      const journal = await openReceiptJournal(file, systemClock);
      const rows = await journal.list(run.runId);
      await journal.close();
      const found = rows.filter(({ ack, outcome }) => ack !== null && outcome === 0);
      return found.length >= 2 ? found : undefined;
    });
    for (const { receipt, ack } of acknowledged) {
      expect(receipt.worker).toBe(joined);
      expect(ack?.ack.worker).toBe(joined);
      expect(Number(ack?.ack.tokens)).toBeGreaterThan(0);
    }

    worker.kill("SIGINT");
    expect(await worker.exited).toEqual({ code: 130, signal: null });
    await follow(watch, "its leave", ({ members }) => !(joined in members));
    up.kill("SIGINT");
    expect(await up.exited).toEqual({ code: 130, signal: null });
    await stage.empty(15);
  });
});
