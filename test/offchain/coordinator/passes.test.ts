/** Rented machines join by a pass: once, for whom it names, while it lasts; and are let go at the end of their round. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  type LeaseRequest,
  parsePass,
  passHeader,
  passText,
  routes,
  signPass,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { privateKeyToAccount } from "viem/accounts";
import { afterEach, describe, expect, it, onTestFinished } from "vitest";

import { openSoftware } from "../../../offchain/src/coordinator/software.ts";
import { sha256Bytes } from "../../../offchain/src/base/index.ts";
import { silentLogger } from "../../../offchain/src/service/index.ts";
import { domain, elapse, type Harness, type HarnessOptions, openHarness, poster, runId, START } from "./harness.ts";

const HOUR = 3_600_000;
const LABEL = "ct-0a1b2c3d-00000001-1";
const beneficiary: Address = `0x${"be".repeat(20)}`;
const stranger = privateKeyToAccount(`0x${"5e".repeat(32)}`);

const passOf = (
  change: { label?: string; index?: number; notAfter?: number; runId?: typeof runId } = {},
  renter = poster,
) => signPass(renter, domain, { runId, label: LABEL, index: 0, beneficiary, notAfter: START + HOUR, ...change });

let harness: Harness;
const open = async (options: HarnessOptions = {}): Promise<Harness> => (harness = await openHarness(options));
afterEach(() => harness.close());

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "accepted";
  } catch (error) {
    return error instanceof CotrainError ? error.code : String(error);
  }
};
const look = (request: LeaseRequest) => harness.client.lease(runId, request);

describe("a pass", () => {
  it("lets one key in, for the beneficiary that it names, and no other key, also after a restart", async () => {
    await open();
    const pass = await passOf();
    const [worker, other] = [harness.worker("31"), harness.worker("32")];
    await worker.joinBy(pass);
    expect(harness.run.driver.state.members[worker.address]).toMatchObject({ beneficiary });
    expect(await codeOf(other.joinBy(pass))).toBe("LEASE_TAKEN");
    await harness.restart();
    expect(await codeOf(other.joinBy(pass))).toBe("LEASE_TAKEN");
    // The machine's own process may begin anew.
    await worker.joinBy(pass);
    expect(await codeOf(other.joinBy(await passOf({ index: 1 })))).toBe("accepted");
  });

  it("is refused where it is over, for another run, by a renter that nobody named, or signed by another", async () => {
    await open();
    const worker = harness.worker("31");
    expect(await codeOf(worker.joinBy(await passOf({ notAfter: START })))).toBe("LEASE_OVER");
    expect(await codeOf(worker.joinBy(await passOf({ runId: `0x${"99".repeat(32)}` as typeof runId })))).toBe(
      "WRONG_RUN",
    );
    expect(await codeOf(worker.joinBy(await passOf({}, stranger)))).toBe("RENTER_UNKNOWN");
    const { pass } = await passOf();
    const { signature } = await passOf({}, stranger);
    expect(await codeOf(worker.joinBy({ pass, signature }))).toBe("BAD_SIGNATURE");
    const longer = { pass: { ...pass, notAfter: String(START + 2 * HOUR) }, signature: (await passOf()).signature };
    expect(await codeOf(worker.joinBy(longer))).toBe("BAD_SIGNATURE");
    expect(harness.run.driver.state.members).toEqual({});
  });

  it("is refused to who names another beneficiary or lease beside it, and a lease without its pass", async () => {
    await open();
    const worker = harness.worker("31");
    const pass = await passOf();
    expect(await codeOf(worker.join({ beneficiary, lease: zeroHash }, undefined, pass))).toBe("FOREIGN_PASS");
    const mine = harness.worker("31");
    expect(await codeOf(mine.join({ lease: (await look({ pass })).lease }, undefined, pass))).toBe("FOREIGN_PASS");
    expect(await codeOf(worker.join({ lease: (await look({ pass })).lease }))).toBe("LEASE_UNKNOWN");
  });

  it("is forgotten once it is over, and serves nobody then", async () => {
    await open();
    const pass = await passOf({ notAfter: START + 5_000 });
    const worker = harness.worker("31");
    await worker.joinBy(pass);
    await elapse(harness, () => harness.clock.now() >= START + 6_000, "the end of the pass");
    expect(await codeOf(harness.worker("32").joinBy(pass))).toBe("LEASE_OVER");
    await harness.worker("33").joinBy(await passOf({ index: 1 }));
    expect(Object.keys(harness.run.driver.state.leases ?? {})).toHaveLength(1);
  });

  it("is one word, which nothing else is taken for", async () => {
    await open();
    const pass = await passOf();
    expect(parsePass(passText(pass))).toEqual(pass);
    expect(passText(pass)).toMatch(/^[\w-]{1,1000}$/);
    for (const text of ["", "a b", "AAAA", passText(pass).slice(1), "A".repeat(3_000)])
      expect(() => parsePass(text)).toThrow("What is shown as a pass is none.");
  });
});

describe("a lease that is ended", () => {
  it("admits nobody any more, whether or not somebody had joined by it", async () => {
    await open();
    const [unused, used] = [await passOf(), await passOf({ index: 1 })];
    const worker = harness.worker("31");
    await worker.joinBy(used);
    expect(await look({ pass: unused, end: true })).toMatchObject({ ended: true, worker: null, member: false });
    expect(await codeOf(harness.worker("32").joinBy(unused))).toBe("LEASE_ENDED");
    await worker.session.leave();
    await look({ pass: used, end: true });
    expect(await codeOf(worker.joinBy(used))).toBe("LEASE_ENDED");
    await harness.restart();
    expect(await codeOf(harness.worker("32").joinBy(unused))).toBe("LEASE_ENDED");
    // Once more is no error.
    expect(await look({ pass: used, end: true })).toMatchObject({ ended: true, member: false });
  });

  it("has its worker finish its round, which counts, and then leave; the next round is without it", async () => {
    await open();
    const pass = await passOf();
    const [rented, second, third] = [harness.worker("31", { beneficiary }), harness.worker("32"), harness.worker("33")];
    await rented.joinBy(pass);
    await second.join();
    const work = rented.prepare(await rented.assigned());
    expect(await look({ pass, end: true })).toMatchObject({ member: true, ended: true });
    // It may still open a session for what it has.
    await rented.joinBy(pass);
    const again = rented.prepare(await rented.assigned());
    expect(again.assignment.round).toBe(work.assignment.round);
    await rented.upload(again);
    await rented.submit(again);
    expect(await rented.work()).toMatchObject({ kind: "leave", reason: "Its lease was ended, and its work is in." });
    await rented.session.leave();
    await third.join();
    await second.train();
    await elapse(harness, () => harness.run.driver.state.round === 1, "the end of the round");
    expect(harness.run.driver.state.totals[rented.address]).toBeGreaterThan(0);
    await third.assigned();
    expect(Object.keys(harness.run.driver.state.current?.work ?? {})).not.toContain(rented.address);
    expect(await look({ pass })).toMatchObject({ member: false, heardMs: null });
  });

  it("gives its worker no work although it does not leave", async () => {
    await open();
    const pass = await passOf();
    const [rented, second, third] = [harness.worker("31", { beneficiary }), harness.worker("32"), harness.worker("33")];
    await rented.joinBy(pass);
    await look({ pass, end: true });
    await second.join();
    expect(await rented.work()).toMatchObject({ kind: "leave" });
    expect(harness.run.driver.state.current).toBeNull();
    await third.join();
    await third.assigned();
    const working = Object.keys(harness.run.driver.state.current?.work ?? {});
    expect(working.toSorted()).toEqual([second.address, third.address].toSorted());
  });
});

describe("a look at a lease", () => {
  it("says who joined, when it was last heard of, and what its machine reported", async () => {
    await open();
    const pass = await passOf();
    const report = { devices: [{ name: "cpu", tokensPerSecond: 900, missing: null }] };
    expect(await look({ pass })).toMatchObject({
      worker: null,
      member: false,
      heardMs: null,
      report: null,
      software: null,
    });
    expect((await look({ pass, report })).report).toEqual(report);
    const worker = harness.worker("31");
    await worker.joinBy(pass);
    await harness.clock.advance(3_000);
    const view = await look({ pass });
    expect(view).toMatchObject({ member: true, heardMs: 3_000, report });
    expect(view.worker?.toLowerCase()).toBe(worker.address);
  });

  it("says whether its worker has work: not while the run waits, nor once it missed its time", async () => {
    await open();
    const pass = await passOf();
    const [rented, second] = [harness.worker("31", { beneficiary }), harness.worker("32")];
    const working = async () => (await look({ pass })).working;
    await rented.joinBy(pass);
    expect(await working()).toBe(false);
    await second.join();
    await rented.assigned();
    expect(await working()).toBe(true);
    await second.train();
    const misses = () => harness.run.driver.state.members[rented.address]?.misses ?? 0;
    await elapse(
      harness,
      async () => {
        // It is there, and hands nothing in.
        await Promise.all([rented, second].map((each) => each.work(0)));
        return misses() > 0;
      },
      "a time that is missed",
    );
    expect(await working()).toBe(false);
  });

  it("says that it has none in a round that waits for others beyond its time", async () => {
    await open();
    const pass = await passOf();
    const [rented, second] = [harness.worker("31", { beneficiary }), harness.worker("32")];
    await rented.joinBy(pass);
    await second.join();
    await rented.train();
    await second.session.leave();
    for (let times = 0; times < 20; times++) {
      await harness.clock.advance(4_000);
      await rented.work(0);
    }
    expect(harness.run.driver.state.members[rented.address]).toMatchObject({ misses: 0 });
    expect((await look({ pass })).working).toBe(false);
  });

  it("is for passes of renters that were named alone", async () => {
    await open();
    expect(await codeOf(look({ pass: await passOf({}, stranger), end: true }))).toBe("RENTER_UNKNOWN");
    const good = await passOf();
    // One that was taken once is taken again, but with no other signature.
    for (let times = 0; times < 2; times++) expect(await codeOf(look({ pass: good }))).toBe("accepted");
    expect(await codeOf(look({ pass: { pass: good.pass, signature: (await passOf({}, stranger)).signature } }))).toBe(
      "BAD_SIGNATURE",
    );
  });

  it("is for passes that are not over", async () => {
    await open();
    const pass = await passOf({ notAfter: START + 1_000 });
    expect(await codeOf(look({ pass }))).toBe("accepted");
    await harness.clock.advance(1_000);
    expect(await codeOf(look({ pass }))).toBe("LEASE_OVER");
  });
});

const temporary = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "cotrain-software-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
};
const fetched = async (pass: string) => {
  const reply = await harness.app.inject({ url: routes.software(runId), headers: { [passHeader]: pass } });
  return { status: reply.statusCode, bytes: new Uint8Array(reply.rawPayload), text: reply.payload };
};

describe("the coordinator's software", () => {
  it("is this tree's, under the digest that a look tells, for whoever has a pass that is not ended", async () => {
    const directory = temporary();
    await open({ software: await openSoftware(join(directory, "software"), silentLogger()) });
    const pass = await passOf();
    const { software } = await look({ pass });
    const { status, bytes } = await fetched(passText(pass));
    expect(status).toBe(200);
    expect(software).toEqual({ digest: sha256Bytes(bytes), bytes: bytes.length });
    writeFileSync(join(directory, "tree.tar.gz"), bytes);
    expect(spawnSync("tar", ["-xzf", "tree.tar.gz"], { cwd: directory }).status).toBe(0);
    const parts = ["deploy/bootstrap.mjs", "package-lock.json", "offchain/src/cli/main.ts", "sdk/src/errors.ts"];
    expect(parts.filter((part) => !existsSync(join(directory, part)))).toEqual([]);
    expect(existsSync(join(directory, "test"))).toBe(false);
    expect(existsSync(join(directory, "offchain/node_modules"))).toBe(false);

    expect(JSON.parse((await fetched("")).text)).toMatchObject({ error: { code: "MALFORMED_PASS" } });
    expect((await fetched(passText(await passOf({}, stranger)))).status).toBe(403);
    await look({ pass, end: true });
    expect((await fetched(passText(pass))).status).toBe(410);
  });

  it("is none where the tree is not whole", async () => {
    const directory = temporary();
    await open({ software: await openSoftware(join(directory, "software"), silentLogger(), directory) });
    expect(await look({ pass: await passOf() })).toMatchObject({ software: null });
    expect(JSON.parse((await fetched(passText(await passOf()))).text)).toMatchObject({
      error: { code: "SOFTWARE_NONE" },
    });
  });
});
