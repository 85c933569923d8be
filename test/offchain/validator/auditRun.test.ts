/** A validator that measures, on a real chain: which gates sortition gives it, and what it says of a forged loss. */
import { CoordinatorError, ProtocolError } from "@cotrain/sdk/errors";
import {
  type Address,
  asHead,
  canonicalJson,
  type Digest,
  digestOfJson,
  drawsGateAudit,
  type Hex,
  sortitionSeed,
  measuringOrder,
  type RunView,
  type ScreeningFile,
  type SignedVerdict,
  verdictKind,
} from "@cotrain/sdk/protocol";
import type { LocalAccount } from "viem";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

import { type Clock, systemClock, UserError } from "../../../offchain/src/base/index.ts";
import { DataError } from "../../../offchain/src/data/index.ts";
import {
  type LossMeter,
  type ValidatorCoordinator,
  type ValidatorEvent,
} from "../../../offchain/src/validator/index.ts";
import { shareOf } from "../../../offchain/src/validator/loss.ts";
import { chain, closeWorld, eventually, openWorld, runHere, world } from "./harness.ts";
import { conformance, fragments, lossOf, type RoundOptions, validators } from "../chain/world.ts";

let stop: () => Promise<void> = async () => undefined;
/** Who measures checkpoint 0 first. */
let me: LocalAccount;
let address: Address;
/** What the coordinator says can be measured with. */
let builds: string[] = [];
/** Measurements of held-out loss that never come to an end by themselves, by whether they were ended. */
const endless: { ended: boolean; readonly share: number | undefined }[] = [];
/** Shares of the machine that audits were given, and whether those that keep to one never come to an end. */
const audits: (number | undefined)[] = [];
let starved = false;
let phase: RunView["phase"] = "Training";
let verdicts: SignedVerdict[] = [];
/** A blob that the coordinator does not have. */
let withheld: string | undefined;
/** It does not even say so. */
let silent = false;
/** Shards that were asked for while it was withheld. */
let refused = 0;
/** Looks of validators that are nearly over. */
let looks = 0;
/** How often a measurement of held-out loss failed; undefined while none does. */
let failures: number | undefined;
let unmeasurable: Digest | undefined;
/** The held-out shards hold ids that are beyond the vocabulary. */
let wrongShard = false;
/** The coordinator answers about its run with what is no answer. */
let unread = false;

const coordinator: ValidatorCoordinator = {
  run: async () => {
    if (unread) throw new ProtocolError("MALFORMED_DOCUMENT", "/phase: must be a string.");
    const run = await chain.run(world.runId);
    const { modelId, definition } = run;
    const measured = { heldOut: null, heldOutFirst: null };
    const view = { runId: world.runId, modelId, definition, builds, phase, loss: measured };
    return view as unknown as RunView;
  },
  epochs: async () => {
    looks += 1;
    return { epochs: [] };
  },
  blob: async (_run, digest, limit) => {
    if (digest === withheld) {
      refused += 1;
      if (silent) return new Promise(() => undefined);
      throw new CoordinatorError(404, "BLOB_NOT_FOUND", `There is no blob ${digest}.`);
    }
    return world.store.get(digest, limit);
  },
  verdicts: async () => ({ verdicts }),
  submitVerdict: async (_run, signed) => {
    verdicts.push(signed);
    return { accepted: true };
  },
  submitAttestation: async () => ({ accepted: true }),
};

/** The function that this world's losses are, in place of a program; a machine of the build's class. */
const loss: LossMeter = {
  measure: async ({ checkpoint, sequences, share }, signal) => {
    signal.throwIfAborted();
    if (typeof checkpoint === "string" || typeof sequences === "number") {
      if (failures !== undefined && checkpoint === unmeasurable) {
        failures += 1;
        throw new UserError("UNMEASURABLE", "It cannot be measured.");
      }
      const measurement = { ended: false, share };
      endless.push(measurement);
      return new Promise((_resolve, reject) => {
        const end = (): void => {
          measurement.ended = true;
          reject(signal.reason);
        };
        signal.addEventListener("abort", end, { once: true });
      });
    }
    audits.push(share);
    if (wrongShard) throw new DataError("DATA_INVALID", "Shard 0x00 does not hold 9 tokens of the vocabulary.");
    // Others leave it nothing.
    if (starved && share !== undefined) await new Promise((_, reject) => signal.addEventListener("abort", reject));
    return {
      loss: 0,
      microBitsPerByte: lossOf(checkpoint, sequences),
      sequences: sequences.length,
      cpu: 100,
      elapsed: 2_000,
    };
  },
  conformance: async () => conformance,
  close: () => undefined,
};

async function start(clock: Clock = systemClock): Promise<ValidatorEvent[]> {
  const { events, end } = await runHere(
    `${crypto.randomUUID()}.sqlite`,
    { pollInterval: 20, absence: 3_600_000 },
    { reader: chain, coordinator, account: me, loss, clock },
  );
  stop = async () => {
    await end();
    stop = async () => undefined;
  };
  return events;
}

/** Until two looks are over that began after this. */
async function looked(): Promise<void> {
  const before = looks;
  await eventually("looks", () => (looks >= before + 4 ? true : undefined));
}

/** Withholds a shard that the audit of the newest head needs. */
async function withhold(head: string): Promise<void> {
  const sortition = await chain.blockHash(0);
  const fragment = Number(sortitionSeed(sortition!, asHead(head), address) % BigInt(fragments));
  const { checkpointDigest } = (await chain.headsSince(world.runId, 0)).at(-1)!;
  const manifest = JSON.parse(new TextDecoder().decode(await world.store.get(checkpointDigest))) as {
    fragments: { digest: string }[];
  };
  // Of the fragment that it recomputes it needs no published shard.
  withheld = manifest.fragments[(fragment + 1) % fragments]!.digest;
}

/** Posts a round; the block that decides the sortition is one by which the newest head's audit is drawn by this validator, or not. */
async function post(drawn: boolean, options: RoundOptions = {}): Promise<{ round: number; head: string }> {
  // Until it is chosen the block is still to come.
  Object.assign(chain, { blockHash: async () => undefined });
  const { head: parentHead } = await chain.head(world.runId);
  const { fields } = await world.publisher.round(options);
  await chain.postHead({ ...fields, parentHead }, `head-${fields.round}`);
  const { head } = await chain.head(world.runId);
  let hash: Hex = digestOfJson({ salt: 0 });
  const { auditOneIn } = world.definition.screening;
  for (
    let salt = 1;
    drawsGateAudit(sortitionSeed(hash, asHead(head), address), fragments, auditOneIn) !== drawn;
    salt++
  )
    hash = digestOfJson({ salt });
  Object.assign(chain, { blockHash: async () => hash });
  return { round: fields.round, head };
}
const judgement = (events: readonly ValidatorEvent[], of: number) =>
  eventually("the judgement", () => events.find((event) => event.type === "judged" && event.round === of)) as Promise<
    Extract<ValidatorEvent, { type: "judged" }>
  >;
const sent = (head: string) =>
  eventually("the verdict", () =>
    verdicts.find(({ verdict }) => verdict.head === head && verdict.kind === verdictKind.aggregate),
  );
/** A loss of θ′ that would stand by itself and is not what the parameters give. */
const forgeScreening = ({ gate }: ScreeningFile): void => void (gate.passes[0]!.after! -= 20_000);

beforeAll(async () => {
  await openWorld();
  const set = validators.map((account) => account.address.toLowerCase() as Address);
  const [first] = measuringOrder((await chain.head(world.runId)).head, set);
  me = validators.find((account) => account.address.toLowerCase() === first)!;
  address = first!;
});
afterEach(async () => {
  await stop();
  verdicts = [];
  withheld = undefined;
  wrongShard = false;
  unread = false;
});
afterAll(closeWorld);

// foundation 2
it("a validator measures the gate that sortition gives it and finds an honest record true", async () => {
  const { round, head } = await post(true);
  const events = await start();
  expect(await judgement(events, round)).toMatchObject({ holds: true, reason: "" });
  expect(events).toContainEqual({
    type: "audited",
    head,
    round,
    losses: 2,
    holds: true,
    share: shareOf({ cpu: 200, elapsed: 4_000 }),
    atRest: false,
  });
  expect((await sent(head)).verdict.value).toBe("10000");
});

it("a validator signs 0 for a forged loss, where sortition says so, and tells what the audit took", async () => {
  const { round, head } = await post(true, { forgeScreening });
  const events = await start();
  expect(await judgement(events, round)).toMatchObject({
    holds: false,
    reason: expect.stringMatching(/The loss gate records \d+ for pass 0, where \d+ is measured/),
  });
  expect((await sent(head)).verdict.value).toBe("0");
  const share = shareOf({ cpu: 200, elapsed: 4_000 });
  expect(events).toContainEqual({ type: "audited", head, round, losses: 2, holds: false, share, atRest: false });
});

it("a validator leaves the other gates to others", async () => {
  const { round, head } = await post(false, { forgeScreening });
  const events = await start();
  expect(await judgement(events, round)).toMatchObject({ holds: true });
  expect((await sent(head)).verdict.value).toBe("10000");
  expect(events.some((event) => event.type === "audited" && event.round === round)).toBe(false);
});

it("a validator signs 0 where the gate's sample is of a shard that is there and is none", async () => {
  const { round, head } = await post(true);
  wrongShard = true;
  const events = await start();
  expect(await judgement(events, round)).toMatchObject({
    holds: false,
    reason: expect.stringContaining("tokens of the vocabulary"),
  });
  expect((await sent(head)).verdict.value).toBe("0");
});

it("a validator says nothing of a head where its coordinator's answer about the run is none", async () => {
  const events = await start();
  await looked();
  unread = true;
  const { round } = await post(true);
  const what = `the loss gate of checkpoint ${round}, not judged yet`;
  await eventually("a word why", () => events.find((event) => event.type === "retrying" && event.what === what));
  expect(events.some((event) => event.type === "judged" && event.round === round)).toBe(false);
});

it("a validator signs 0 for a gate that was measured by a program of nobody, whatever it drew", async () => {
  const [admitted] = await chain.buildsOf(world.runId);
  const document = JSON.parse(new TextDecoder().decode(await world.store.get(admitted!))) as object;
  const bytes = new TextEncoder().encode(canonicalJson({ ...document, runtime: "its own" }));
  const { digest } = await world.store.put(bytes);
  const { round, head } = await post(false, { forgeScreening: ({ gate }) => void (gate.build = digest) });
  expect(await judgement(await start(), round)).toMatchObject({
    holds: false,
    reason: expect.stringContaining(`build ${digest}, which was never admitted`),
  });
  expect((await sent(head)).verdict.value).toBe("0");
});

it("a validator without the shards of a drawn gate says so and does not judge the head", async () => {
  const { round, head } = await post(true);
  await withhold(head);
  let passed = 0;
  const events = await start({ ...systemClock, monotonic: () => passed });
  const said = () =>
    events.filter((event) => event.type === "retrying" && event.what.includes(`loss gate of checkpoint ${round}`));
  await eventually("a word of it", () => said()[0]);
  await looked();
  expect(said()).toEqual([expect.objectContaining({ reason: expect.stringContaining(withheld!) })]);
  // It is tried again after a while, not at each look.
  passed = 10_000;
  await eventually("another word of it", () => said()[1]);
  expect(refused).toBeGreaterThan(0);
  expect(verdicts.some(({ verdict }) => verdict.head === head)).toBe(false);
  await stop();
  withheld = undefined;
  expect(await judgement(await start(), round)).toMatchObject({ holds: true });
});

it("a validator that is to stop waits for no shard of an audit", async () => {
  const { head } = await post(true);
  await withhold(head);
  silent = true;
  const before = refused;
  await start();
  await eventually("a shard that does not come", () => (refused > before ? true : undefined));
  await expect(stop()).resolves.toBeUndefined();
  silent = false;
});

it("an audit does not wait for a measurement of held-out loss", async () => {
  builds = [(await chain.buildsOf(world.runId))[0]!];
  const events = await start();
  const measurement = await eventually("a measurement", () => endless[0]);
  const { round } = await post(true);
  expect(await judgement(events, round)).toMatchObject({ holds: true });
  expect(measurement.ended).toBe(true);
  expect(events.some((event) => event.type === "retrying" && event.what.startsWith("loss of"))).toBe(false);
  // It is due as before.
  await eventually("the measurement, begun again", () => endless.find(({ ended }) => !ended));
});

it("a measurement that keeps to its share is begun anew without one when the run rests", async () => {
  builds = [(await chain.buildsOf(world.runId))[0]!];
  endless.length = 0;
  const events = await start();
  const measurement = await eventually("a measurement", () => endless[0]);
  expect(measurement.share).toBe(0.05);
  phase = "Paused";
  try {
    const anew = await eventually("the measurement at rest", () => endless[1]);
    expect([measurement.ended, anew.share]).toEqual([true, undefined]);
    expect(events.some(({ type }) => type === "retrying")).toBe(false);
  } finally {
    phase = "Training";
  }
});

it("an audit that keeps to its share is begun anew without one when the run rests", async () => {
  const { round } = await post(true);
  audits.length = 0;
  starved = true;
  const events = await start();
  await eventually("the audit", () => audits[0]);
  phase = "Paused";
  try {
    expect(await judgement(events, round)).toMatchObject({ holds: true });
    expect(audits.filter((share) => share !== undefined)).toEqual([0.05]);
    expect(events.some(({ type }) => type === "retrying")).toBe(false);
  } finally {
    phase = "Training";
    starved = false;
  }
});

it("a checkpoint that cannot be measured is left after some tries", async () => {
  builds = [(await chain.buildsOf(world.runId))[0]!];
  const [first] = await chain.headsSince(world.runId, 0);
  unmeasurable = first!.checkpointDigest;
  failures = 0;
  const events = await start();
  const tried = (): number | undefined => failures;
  await eventually("five tries", () => ((tried() ?? 0) >= 5 ? true : undefined));
  await looked();
  expect(tried()).toBe(5);
  expect(events.filter((event) => event.type === "retrying" && event.what === "loss of checkpoint 0")).toHaveLength(5);
});
