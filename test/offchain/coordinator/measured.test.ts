/** What a rented machine was measured to do: by receipts that were accepted, without what its link took. */
import { EventEmitter } from "node:events";

import { type Address, signPass } from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, it, vi } from "vitest";

import { flopPerToken } from "../../../offchain/src/engine/index.ts";
import { measuredOf } from "../../../offchain/src/coordinator/measured.ts";
import { createTransfers, timeFetch } from "../../../offchain/src/coordinator/transfers.ts";
import { domain, ELEMENTS, type Harness, type HarnessOptions, openHarness, poster, runId, START } from "./harness.ts";

const MB = 1 << 20;
const worker: Address = `0x${"aa".repeat(20)}`;
const other: Address = `0x${"ab".repeat(20)}`;

const stage = () => {
  let now = 0;
  const transfers = createTransfers({ monotonic: () => now });
  return { transfers, at: (ms: number) => void (now = ms) };
};

describe("a link", () => {
  it("is as fast as what came over it in the time in which something did", () => {
    const { transfers, at } = stage();
    const over = transfers.begin(worker, "up");
    at(2_000);
    over(8 * MB);
    // Nothing was on its way.
    at(60_000);
    const again = transfers.begin(worker, "up");
    at(62_000);
    again(8 * MB);
    expect(transfers.rate(worker, "up")).toBe(2 * MB);
    expect(transfers.rate(worker, "down")).toBeNull();
    expect(transfers.rate(other, "up")).toBeNull();
  });

  it("carries what is sent side by side in the time of one", () => {
    const { transfers, at } = stage();
    const [first, second] = [transfers.begin(worker, "down"), transfers.begin(worker, "down")];
    at(1_000);
    first(5 * MB);
    at(2_000);
    second(7 * MB);
    // Called again it counts nothing.
    second(7 * MB);
    expect(transfers.rate(worker, "down")).toBe(2 * MB);
  });

  it("is not told of little, and what failed took its time", () => {
    const { transfers, at } = stage();
    const little = transfers.begin(worker, "up");
    at(10);
    little(5 * MB - 1);
    expect(transfers.rate(worker, "up")).toBeNull();
    const failed = transfers.begin(worker, "up");
    at(20);
    failed(0);
    const last = transfers.begin(worker, "up");
    at(40);
    last(4 * MB + 1);
    expect(transfers.rate(worker, "up")).toBe(Math.round((MB * 1_000) / 40));
  });

  it("does not seem faster by what a system takes at once", () => {
    const { transfers, at } = stage();
    let now = 0;
    const fetch = (bytes: number, ms: number): void => {
      const over = transfers.begin(worker, "down");
      at((now += ms));
      over(bytes);
    };
    for (let range = 0; range < 1_000; range++) fetch(4 * MB, 1);
    expect(transfers.rate(worker, "down")).toBeNull();
    fetch(104 * MB, 10_000);
    expect(transfers.rate(worker, "down")).toBeLessThan(10 * MB);
  });

  it("is not busy for ever with a fetch whose member went before it began", () => {
    const { transfers, at } = stage();
    const reply = Object.assign(new EventEmitter(), { destroyed: true, getHeader: () => MB });
    timeFetch(transfers, worker, reply as never);
    at(60_000);
    const over = transfers.begin(worker, "down");
    at(61_000);
    over(8 * MB);
    expect(transfers.rate(worker, "down")).toBe(4 * MB);
  });

  it("that changed is seen to, and links of members without end are not kept", () => {
    const { transfers, at } = stage();
    let now = 0;
    const send = (of: Address, bytes: number, ms: number): void => {
      const over = transfers.begin(of, "up");
      at((now += ms));
      over(bytes);
    };
    for (let gigabyte = 0; gigabyte < 8; gigabyte++) send(worker, 1 << 30, 1_000);
    for (let gigabyte = 0; gigabyte < 8; gigabyte++) send(worker, 1 << 30, 10_000);
    expect(transfers.rate(worker, "up")).toBeLessThan((1 << 30) / 9);
    for (let index = 0; index < 4_096; index++) send(`0x${String(index).padStart(40, "0")}`, 5 * MB, 1);
    expect(transfers.rate(worker, "up")).toBeNull();
  });
});

describe("training", () => {
  const shape = { layers: 2, width: 8 };
  let harness: Harness;
  const open = async (options: HarnessOptions = {}): Promise<Harness> => (harness = await openHarness(options));
  afterEach(() => harness.close());

  /** Two workers whose round takes four seconds; the first by a pass. */
  async function trained() {
    const pass = await signPass(poster, domain, {
      runId,
      label: "ct-0a1b2c3d-00000001-1",
      index: 0,
      beneficiary: `0x${"be".repeat(20)}`,
      notAfter: START + 3_600_000,
    });
    const [rented, own] = [harness.worker("31", { beneficiary: pass.pass.beneficiary }), harness.worker("32")];
    await rented.joinBy(pass);
    await own.join();
    const look = async () => (await harness.client.lease(runId, { pass })).measured;
    const before = await look();
    const assignment = await rented.assigned();
    const prepared = rented.prepare(assignment);
    await harness.clock.advance(4_000);
    await rented.upload(prepared);
    await rented.submit(prepared);
    return { before, after: await look(), assignment };
  }

  it("is told in FLOP a second once a receipt was accepted", async () => {
    await open({ model: shape });
    const { before, after, assignment } = await trained();
    expect(before).toBeNull();
    const parameters = ELEMENTS.reduce((sum, each) => sum + each, 0);
    const flop = flopPerToken(parameters, { ...shape, sequence: 16 });
    // Two sequences of 16 a step; so small a payload says nothing of the link.
    const speed = (flop * assignment.steps * 2 * 16) / 4;
    expect(after).toMatchObject({ up: null, down: null });
    expect(after?.flops).toBeGreaterThan(speed * 0.99);
    expect(after?.flops).toBeLessThan(speed * 1.01);
  });

  it("has its link timed by what it sends and fetches, and not by what strangers fetch", async () => {
    await open();
    const counted: string[] = [];
    const begin = harness.run.transfers.begin.bind(harness.run.transfers);
    vi.spyOn(harness.run.transfers, "begin").mockImplementation((of, way) => {
      const over = begin(of, way);
      let isOver = false;
      return (bytes) => {
        over(bytes);
        if (!isOver) counted.push(`${of} ${way} ${bytes}`);
        isOver = true;
      };
    });
    const [rented, own] = [harness.worker("31"), harness.worker("32")];
    await rented.join();
    await own.join();
    const prepared = rented.prepare(await rented.assigned());
    await rented.upload(prepared);
    const sent = prepared.payloads.map(({ length }) => `${rented.address} up ${length}`);
    expect(counted.splice(0)).toEqual(sent);
    const [blob] = harness.run.builds.known;
    if (blob === undefined) throw new RangeError("no build");
    const bytes = await harness.client.blob(runId, blob, 1 << 20);
    expect(counted.splice(0)).toEqual([]);
    expect(await rented.session.blob(blob, 1 << 20)).toEqual(bytes);
    expect(counted).toEqual([`${rented.address} down ${bytes.length}`]);
  });

  it("is not told of a model whose shape nobody knows", async () => {
    await open();
    expect((await trained()).after).toBeNull();
  });

  it("is what is left of a round without what its link takes, a quarter of it at the least", async () => {
    await open({ model: shape });
    const { run } = harness;
    const { after } = await trained();
    const flops = after?.flops ?? 0;
    const parameters = ELEMENTS.reduce((sum, each) => sum + each, 0);
    const at = (rate: number) =>
      measuredOf({ ...run, transfers: { ...run.transfers, rate: () => rate } }, harness.worker("31").address);
    // Up a byte and some for each parameter, down four: two of the round's four seconds.
    const bytes = 5 * parameters + 16;
    const halved = at(bytes / 2);
    expect(halved?.up).toBe(bytes / 2);
    expect((halved?.flops ?? 0) / flops).toBeGreaterThan(1.9);
    expect((halved?.flops ?? 0) / flops).toBeLessThan(2.1);
    expect((at(1)?.flops ?? 0) / flops).toBeCloseTo(4, 3);
  });
});
