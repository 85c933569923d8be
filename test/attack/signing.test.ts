/** A dishonest coordinator against three validators, of whom one alone drew what is forged, or is starved of what it drew. */
import { CoordinatorError } from "@cotrain/sdk/errors";
import {
  type Address,
  asDigest,
  asHead,
  canonicalJson,
  digestOfJson,
  domainFor,
  drawnFragment,
  drawsGateAudit,
  type EpochView,
  type Hex,
  sortitionSeed,
  type PayloadHeader,
  type ReceiptsFile,
  type SignedVerdict,
  toWire,
  typedDataOf,
  type Verdict,
  verdictKey,
  verdictKind,
} from "@cotrain/sdk/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { systemClock, UserError } from "../../offchain/src/base/index.ts";
import { type EpochComputation, computeEpoch, createHeadDocumentsCache } from "../../offchain/src/run/index.ts";
import { type LossMeter, type ValidatorCoordinator, type ValidatorEvent } from "../../offchain/src/validator/index.ts";
import { conformance, fragments, lossOf, type RoundOptions, validators, workers } from "../offchain/chain/world.ts";
import { dueEpoch } from "../offchain/run/dueEpoch.ts";
import {
  chain,
  closeWorld,
  development,
  eventually,
  later,
  openWorld,
  runHere,
  world,
} from "../offchain/validator/harness.ts";

const lower = (account: { readonly address: string }): Address => account.address.toLowerCase() as Address;
/** Who alone draws what is forged or withheld, and the two who are enough to sign a root. */
const [victim, first, second] = validators.map((account) => lower(account)) as [Address, Address, Address];
const accountOf = (address: Address) => validators.find((account) => lower(account) === address)!;

const running: (() => Promise<void>)[] = [];
/** The clock of validators that do not wait for an hour, ms. */
let passed = 0;

/** What the coordinator holds, shows and hides. */
const board = {
  verdicts: [] as SignedVerdict[],
  epochs: [] as EpochView[],
  signed: new Map<Address, Hex>(),
  /** Digests that it says it does not have, by who asks. */
  withheld: new Map<Address, Set<string>>(),
  asked: new Map<Address, Set<string>>(),
  /** It takes no verdicts of these. */
  deaf: new Set<Address>(),
  looks: 0,
};
/** The blocks that decide the sortition, chosen so that only the victim looks where something is wrong. */
const decided = new Map<number, Hex>();

const coordinatorOf = (me: Address): ValidatorCoordinator => ({
  run: async () => {
    const { modelId, definition } = await chain.run(world.runId);
    return { runId: world.runId, modelId, definition, builds: [], phase: "Training" } as unknown as Awaited<
      ReturnType<ValidatorCoordinator["run"]>
    >;
  },
  epochs: async () => {
    board.looks += 1;
    return { epochs: board.epochs };
  },
  verdicts: async () => ({ verdicts: board.verdicts }),
  blob: async (_run, digest, limit) => {
    board.asked.set(me, (board.asked.get(me) ?? new Set()).add(digest));
    if (board.withheld.get(me)?.has(digest)) throw new CoordinatorError(404, "BLOB_NOT_FOUND", `No blob ${digest}.`);
    return world.store.get(digest, limit);
  },
  submitVerdict: async (_run, signed) => {
    if (board.deaf.has(me)) throw new CoordinatorError(503, "OVERLOADED", "Not now.", { retryable: true });
    if (!board.verdicts.some(({ verdict }) => verdictKey(verdict) === verdictKey(signed.verdict)))
      board.verdicts.push(signed);
    return { accepted: true };
  },
  submitAttestation: async (_run, _epoch, { signature }) => {
    board.signed.set(me, signature);
    return { accepted: true };
  },
});

/** The function that this world's losses are, in place of a program. */
const loss: LossMeter = {
  measure: async ({ checkpoint, sequences }) => {
    if (typeof checkpoint === "string" || typeof sequences === "number") throw new UserError("UNUSED", "Not measured.");
    const microBitsPerByte = lossOf(checkpoint, sequences);
    return { loss: 0, microBitsPerByte, sequences: sequences.length, cpu: 0, elapsed: 0 };
  },
  conformance: async () => conformance,
  close: () => undefined,
};

/** @param absence ms of `passed` after which what is not there is gone */
async function start(me: Address, patience = 0, absence = 3_600_000): Promise<ValidatorEvent[]> {
  const { events, end } = await runHere(
    `${me}.sqlite`,
    { pollInterval: 20, patience, absence },
    {
      reader: chain,
      ...(absence < 3_600_000 && { clock: { ...systemClock, monotonic: () => passed } }),
      coordinator: coordinatorOf(me),
      account: accountOf(me),
      loss,
    },
  );
  running.push(end);
  return events;
}
async function stop(): Promise<void> {
  await Promise.all(running.splice(0).map((end) => end()));
}

/** Until each of so many validators began a look and ended it after this. */
async function looked(count: number): Promise<void> {
  const before = board.looks;
  await eventually("looks", () => (board.looks >= before + 4 * count ? true : undefined));
}
const signedBy = (who: Address): Promise<Hex> => eventually(`${who}'s signature`, () => board.signed.get(who));
const found = <T extends ValidatorEvent["type"]>(events: readonly ValidatorEvent[], type: T) =>
  eventually(type, () => events.find((event): event is Extract<ValidatorEvent, { type: T }> => event.type === type));

/** The fragment that the victim draws, and nobody else. */
const VICTIMS = 2;

interface Posted {
  readonly head: string;
  readonly round: number;
  readonly file: ReceiptsFile;
}

/** @param gate whether the victim, and nobody else, audits the gate */
async function post(options: RoundOptions = {}, gate = false): Promise<Posted> {
  const { head: parentHead } = await chain.head(world.runId);
  const { fields, file } = await world.publisher.round(options);
  await chain.postHead({ ...fields, parentHead }, `head-${fields.round}`);
  const { head } = await chain.head(world.runId);
  const { block } = (await chain.headsSince(world.runId, 0)).at(-1)!;
  const { auditOneIn } = world.definition.screening;
  for (let salt = 0; ; salt++) {
    const hash = digestOfJson({ salt });
    const seeds = [victim, first, second].map((who) => sortitionSeed(hash, asHead(head), who));
    const drawn = seeds.map((seed) => drawnFragment(seed, fragments));
    const audits = seeds.map((seed) => drawsGateAudit(seed, fragments, auditOneIn));
    if (drawn[0] !== VICTIMS || drawn.slice(1).includes(VICTIMS)) continue;
    if (audits[0] !== gate || audits[1] || audits[2]) continue;
    decided.set(block + 2, hash);
    return { head, round: fields.round, file };
  }
}

/** Ends the epoch and publishes it as the coordinator would have it signed. */
async function publish(verdicts: readonly SignedVerdict[]): Promise<EpochComputation> {
  const epoch = (await dueEpoch(chain, world.modelId))!;
  const modules = { reader: chain, blobs: world.blobs, documents: createHeadDocumentsCache(chain) };
  const result = await computeEpoch(modules, { modelId: world.modelId, epoch, verdicts });
  if (result.kind === "nothing") throw new Error(result.reason);
  const { inputs, verdicts: counted, rewards, manifest, attestation } = result.computation;
  for (const document of [inputs, counted, rewards, manifest])
    await world.store.put(new TextEncoder().encode(canonicalJson(document)));
  const view = { signatures: [], state: "collecting", transaction: null } as const;
  board.signed.clear();
  const { epochDigest } = attestation;
  board.epochs = [{ epoch, manifest: epochDigest, attestation: toWire("Attestation", attestation), ...view }];
  return result.computation;
}
async function endEpoch(): Promise<void> {
  await development().mine({ blocks: 3 });
  await later(16);
}
/** Posts and activates what the two signed. */
async function pay({ attestation }: EpochComputation): Promise<void> {
  const signatures = await Promise.all(
    [first, second].map(async (validator) => ({ validator, signature: await signedBy(validator) })),
  );
  await chain.postRoot(attestation, signatures, `root-${attestation.toEpoch}`);
  await later(5);
  await chain.activateRoot(world.modelId, Number(attestation.toEpoch), `activate-${attestation.toEpoch}`);
}

const about = (head: string, who: Address, kind: number = verdictKind.aggregate) =>
  board.verdicts.find(({ verdict }) => verdict.head === head && verdict.validator === who && verdict.kind === kind)
    ?.verdict;
const judged = (head: string, who: Address) => eventually("its verdict", () => about(head, who));

/** Payloads of the victim's fragment. */
async function payloadsOf({ file }: Posted): Promise<string[]> {
  const headers = await Promise.all(
    file.receipts.map(async ({ receipt }) => {
      const bytes = await world.store.get(asDigest(receipt.payloadDigest));
      return JSON.parse(new TextDecoder().decode(bytes)) as PayloadHeader;
    }),
  );
  return headers.map((header) => header.fragments.find(({ index }) => index === VICTIMS)!.digest);
}

async function verdictOf(who: Address, { head, round }: Posted, value: bigint): Promise<SignedVerdict> {
  const struct: Verdict = {
    runId: world.runId,
    round: BigInt(round - 1),
    head: asHead(head),
    validator: who,
    kind: verdictKind.aggregate,
    worker: `0x${"0".repeat(40)}`,
    index: VICTIMS,
    value,
    evidence: digestOfJson("nothing"),
    issuedAt: 1n,
  };
  const domain = domainFor(world.chainId, world.contracts.runRegistry);
  const signature = await accountOf(who).signTypedData(typedDataOf(domain, "Verdict", struct));
  return { verdict: toWire("Verdict", struct), signature };
}

beforeAll(async () => {
  await openWorld();
  const blockHash = chain.blockHash.bind(chain);
  Object.assign(chain, { blockHash: async (block: number) => decided.get(block) ?? blockHash(block) });
});
beforeEach(() => {
  board.epochs = [];
  board.signed.clear();
  board.withheld.clear();
  board.asked.clear();
  board.deaf.clear();
});
afterEach(stop);
afterAll(closeWorld);

const forgeFragment: RoundOptions = { forge: (states) => void (states[VICTIMS]!.params[0]! += 1e-3) };
const forgeGate: RoundOptions = { forgeScreening: ({ gate }) => void (gate.passes[0]!.after! -= 20_000) };

const worth = ({ file }: Posted): bigint =>
  file.receipts.reduce((sum, { tokens }) => sum + BigInt(tokens) * 10_000n, 0n);
const worthOf = ({ inputs }: EpochComputation): bigint =>
  inputs.epochs
    .flatMap(({ contributions }) => contributions)
    .reduce((sum, { contribution }) => sum + BigInt(contribution), 0n);

/** Neither of the two signs what pays for it; what they say makes it worth nothing, whatever the coordinator counts. */
async function expectUnpaid(posted: Posted, patience = 0): Promise<void> {
  const events = [await start(first, patience), await start(second, patience)];
  for (const who of [first, second]) expect(await judged(posted.head, who)).toMatchObject({ value: "10000" });
  // Two of those who looked found nothing: by what was said so far it is paid.
  await publish(board.verdicts);
  for (const [i, who] of [first, second].entries()) {
    expect(await found(events[i]!, "confirmed")).toMatchObject({
      head: posted.head,
      fragment: VICTIMS,
      drawer: victim,
    });
    expect(await found(events[i]!, "refused")).toMatchObject({
      reason: expect.stringContaining(`checkpoint ${posted.round} does not hold`),
    });
    expect(await eventually("the confirmation", () => about(posted.head, who, verdictKind.confirmation))).toMatchObject(
      { worker: victim, index: VICTIMS, value: "0" },
    );
  }
  expect(board.signed.size).toBe(0);
}

describe("a coordinator that pays for what it forged", () => {
  it.each([
    ["a fragment", forgeFragment, false],
    ["the gate's losses", forgeGate, true],
  ])(
    "where one validator alone drew %s gets no signature, and a head that is worth nothing",
    async (_, forge, gate) => {
      const honest = await post();
      const posted = await post(forge, gate);
      await endEpoch();
      await start(victim);
      expect(await judged(posted.head, victim)).toMatchObject({ value: "0" });
      await stop();
      // What is denied is looked at at once.
      await expectUnpaid(posted, 3_600_000);
      // Computed again with all that was said it pays for the honest round alone, and is signed.
      const again = await publish(board.verdicts);
      expect(worthOf(again)).toBe(worth(honest));
      await pay(again);
    },
  );

  it("and hides that its finder says so gets none either", async () => {
    await post();
    const posted = await post(forgeFragment);
    await endEpoch();
    board.deaf.add(victim);
    const events = await start(victim);
    await eventually("its finding", () =>
      events.find((event) => event.type === "judged" && event.head === posted.head && !event.holds),
    );
    await expectUnpaid(posted);
    expect(about(posted.head, victim)).toBeUndefined();
    await pay(await publish(board.verdicts));
  });

  it("and counts too few of those who say so gets no signature of theirs", async () => {
    await post();
    const posted = await post(forgeFragment);
    await endEpoch();
    await expectUnpaid(posted);
    await stop();
    // One voice of three is no majority: it is counted, and what it speaks against is paid.
    const counted = board.verdicts.filter(
      ({ verdict }) => verdict.kind !== verdictKind.confirmation || verdict.validator === first,
    );
    board.verdicts.push(await verdictOf(victim, posted, 10_000n));
    await publish([...counted, board.verdicts.at(-1)!]);
    const events = await start(first);
    expect(await found(events, "refused")).toMatchObject({
      reason: expect.stringContaining(`pays for checkpoint ${posted.round}`),
    });
    await stop();
    await Promise.all([start(first), start(second)]);
    await pay(await publish(board.verdicts));
  });
});

const starve = async (posted: Posted, from: readonly Address[]): Promise<string[]> => {
  const hidden = await payloadsOf(posted);
  for (const who of from) board.withheld.set(who, new Set(hidden));
  return hidden;
};

describe("a coordinator that withholds what one validator drew", () => {
  it("from it alone has it recomputed by the others, and paid for where it is honest", async () => {
    const posted = await post();
    await endEpoch();
    const hidden = await starve(posted, [victim]);
    await Promise.all([start(victim), start(first), start(second)]);
    await Promise.all([first, second].map((who) => judged(posted.head, who)));
    const computation = await publish(board.verdicts);
    await Promise.all([signedBy(first), signedBy(second)]);
    for (const who of [first, second]) for (const digest of hidden) expect(board.asked.get(who)).toContain(digest);
    expect(about(posted.head, victim)).toBeUndefined();
    expect(board.signed.has(victim)).toBe(false);
    await pay(computation);
  });

  it("because it is forged is found out", async () => {
    const honest = await post();
    const posted = await post(forgeFragment);
    await endEpoch();
    await starve(posted, [victim]);
    await start(victim);
    await expectUnpaid(posted);
    const again = await publish(board.verdicts);
    expect(worthOf(again)).toBe(worth(honest));
    await pay(again);
  });

  it("from everybody gets no signature before it is there", async () => {
    const posted = await post();
    await endEpoch();
    await starve(posted, [victim, first, second]);
    await start(victim);
    const events = [await start(first), await start(second)];
    await Promise.all([first, second].map((who) => judged(posted.head, who)));
    const computation = await publish(board.verdicts);
    for (const each of events)
      await eventually("a word of it", () =>
        each.find((event) => event.type === "retrying" && event.what.includes(`in ${victim}'s place`)),
      );
    await looked(3);
    expect(board.signed.size).toBe(0);
    board.withheld.clear();
    await pay(computation);
  });

  it("from everybody and for good is denied by the others, though the head's documents stay and are looked at again", async () => {
    const honest = await post();
    const posted = await post();
    await endEpoch();
    await starve(posted, [victim, first, second]);
    const { postingDelay } = await chain.schedule(world.modelId);
    const [absence, patience] = [postingDelay * 1_000, 1];
    await Promise.all([start(first, patience, absence), start(second, patience, absence)]);
    await Promise.all([first, second].map((who) => judged(posted.head, who)));
    await publish(board.verdicts);
    const denies = (who: Address): boolean => about(posted.head, who, verdictKind.confirmation)?.value === "0";
    for (let delays = 1; delays <= 5 && ![first, second].every(denies); delays++) {
      for (let part = 0; part < 4; part++) {
        passed += absence / 4;
        await later(postingDelay / 4);
        await looked(2);
      }
      // Its deadline is over: it is computed anew.
      if (![first, second].every(denies)) await publish(board.verdicts);
    }
    expect([first, second].map(denies)).toEqual([true, true]);
    const again = await publish(board.verdicts);
    expect(worthOf(again)).toBe(worth(honest));
    await pay(again);
  });
});

describe("a validator that lies", () => {
  it("by saying 0 of what holds keeps nobody from signing, and takes nothing from anybody", async () => {
    const posted = await post();
    await endEpoch();
    board.verdicts.push(await verdictOf(victim, posted, 0n));
    await Promise.all([start(first), start(second)]);
    await Promise.all([first, second].map((who) => judged(posted.head, who)));
    const computation = await publish(board.verdicts);
    await pay(computation);
    expect(about(posted.head, first, verdictKind.confirmation)).toBeUndefined();
    expect(about(posted.head, second, verdictKind.confirmation)).toBeUndefined();
    expect(computation.inputs.epochs.at(-1)!.contributions).toHaveLength(posted.file.receipts.length);
  });

  it("by saying nothing, as if starved, is waited for and then done without", async () => {
    const posted = await post();
    await endEpoch();
    const events = await start(first, 3_600_000);
    await judged(posted.head, first);
    await publish(board.verdicts);
    await eventually("a word of it", () =>
      events.find((event) => event.type === "looking" && event.reason.includes("have not told of it yet")),
    );
    await looked(1);
    expect(board.signed.size).toBe(0);
    const [hidden] = await payloadsOf(posted);
    expect(board.asked.get(first)).not.toContain(hidden);
    await stop();

    await Promise.all([start(first), start(second)]);
    await Promise.all([signedBy(first), signedBy(second)]);
    expect(board.asked.get(first)).toContain(hidden);
    expect(about(posted.head, victim)).toBeUndefined();
  });
});

// After it nothing more of this model is paid here: a head whose receipts do not hold has no accounts.
describe("a coordinator and its own worker", () => {
  const thief = lower(workers[1]!);
  const invented: [string, RoundOptions, string][] = [
    [
      "a norm of all others",
      { tooLarge: (worker) => (worker === thief ? undefined : "invented") },
      `measured as something else than it is, in fragment ${VICTIMS}`,
    ],
    ["a loss for which a round is discarded", { forgeDiscard: true }, "The loss gate records"],
  ];
  it.each(invented)("that invent %s are found out by those too who did not draw it", async (_, forgery, reason) => {
    const posted = await post(forgery);
    await endEpoch();
    const events = await Promise.all([start(first), start(second)]);
    for (const who of [first, second]) expect(await judged(posted.head, who)).toMatchObject({ value: "0" });
    for (const each of events)
      expect(each.find((event) => event.type === "judged" && event.head === posted.head)).toMatchObject({
        holds: false,
        reason: expect.stringContaining(reason),
      });
  });

  it("that invent the tokens of an assignment are found out by every validator", async () => {
    const posted = await post({
      forgeAssignment: (honest) =>
        honest.worker === thief
          ? { ...honest, batch: 1 << 20, sequence: 1 << 20, ranges: [{ start: honest.ranges[0]!.start, count: 1 }] }
          : honest,
    });
    await endEpoch();
    const all = [victim, first, second];
    await Promise.all(all.map((who) => start(who)));
    for (const who of all) expect(await judged(posted.head, who)).toMatchObject({ value: "0" });
  });
});
