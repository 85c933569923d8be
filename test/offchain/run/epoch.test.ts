import {
  type Address,
  canonicalJson,
  digestOfJson,
  domainFor,
  drawnFragment,
  epochAt,
  sortitionSeed,
  rewardTree,
  type SignedVerdict,
  toWire,
  typedDataOf,
  type Verdict,
  verdictKind,
  zeroHash,
} from "@cotrain/sdk/protocol";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import type { PostedHead } from "../../../offchain/src/chain/index.ts";
import {
  type EpochComputation,
  computeEpoch,
  deadlineOf,
  DocumentError,
  rewardsFromInputs,
} from "../../../offchain/src/run/index.ts";
import { accounts, contracts, createLedger, type Ledger, modelId } from "./ledger.ts";
import { validators } from "../chain/world.ts";
import { dueEpoch } from "./dueEpoch.ts";

const [a, b, c] = accounts;
const lower = (address: string): Address => address.toLowerCase() as Address;

async function compute(
  ledger: Ledger,
  epoch: number,
  verdicts: readonly SignedVerdict[] = [],
): Promise<EpochComputation> {
  const result = await computeEpoch(ledger.modules, { modelId, epoch, verdicts });
  if (result.kind === "nothing") throw new Error(result.reason);
  return result.computation;
}
const asked = <T>(all: readonly T[], wanted: unknown): T[] => all.slice(0, wanted === undefined ? -1 : undefined);
/** A chain whose RPC left out the newest event: it comes where it is asked for. */
function leavingOut({ modules }: Ledger): Ledger["modules"] {
  const { reader } = modules;
  return {
    ...modules,
    reader: {
      ...reader,
      headsSince: async (runId, block, wanted) => asked(await reader.headsSince(runId, block), wanted),
      rootsOf: async (id, wanted) => asked(await reader.rootsOf(id), wanted),
    },
  };
}
const earned = ({ rewards }: EpochComputation): Record<string, bigint> =>
  Object.fromEntries(rewards.leaves.map((leaf) => [leaf.account, BigInt(leaf.amount)]));

async function verdict(
  head: { head: string; runId: string; round: number },
  fields: Partial<Verdict>,
  who = 0,
): Promise<SignedVerdict> {
  const account = validators[who]!;
  const struct: Verdict = {
    runId: head.runId as `0x${string}`,
    round: BigInt(Math.max(0, head.round - 1)),
    head: head.head as `0x${string}`,
    validator: lower(account.address),
    kind: verdictKind.aggregate,
    worker: `0x${"0".repeat(40)}`,
    index: 0,
    value: 10_000n,
    evidence: `0x${"0".repeat(64)}`,
    issuedAt: 1n,
    ...fields,
  };
  const signature = await account.signTypedData(
    typedDataOf(domainFor(31_337, contracts.runRegistry), "Verdict", struct),
  );
  return { verdict: toWire("Verdict", struct), signature };
}
/** The fragment that a validator drew. */
const drawn = (head: Pick<PostedHead, "head" | "block">, who: number, ledger: Ledger): number =>
  drawnFragment(sortitionSeed(ledger.blockHash(head.block + 2)!, head.head, lower(validators[who]!.address)), 4);
const withValidators = (ledger: Ledger): Ledger => {
  ledger.validators = validators.map(({ address }) => lower(address));
  return ledger;
};

describe("an epoch's accounts", () => {
  it("share the budget by tokens, rounded down", async () => {
    const ledger = createLedger();
    ledger.add({ anchoredAt: 1_001, receipts: [] });
    ledger.add({
      anchoredAt: 1_005,
      receipts: [
        { account: a, tokens: 100n },
        { account: b, tokens: 200n },
      ],
    });
    ledger.now = 1_020;
    expect(earned(await compute(ledger, 1))).toEqual({ [a]: 333n, [b]: 666n });
  });

  it("give an epoch's budget to the epoch in which a head was anchored, and skip epochs without heads", async () => {
    const ledger = createLedger();
    ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    ledger.add({ anchoredAt: 1_016, receipts: [{ account: b, tokens: 1n }] });
    ledger.add({
      anchoredAt: 1_016 + 16 * 5,
      receipts: [
        { account: a, tokens: 3n },
        { account: b, tokens: 1n },
      ],
    });
    ledger.now = 1_200;
    const computation = await compute(ledger, 7);
    expect(computation.inputs.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 7]);
    expect(earned(computation)).toEqual({ [a]: 1_750n, [b]: 1_250n });
  });

  it("pay the same whether an epoch is settled at once or waits for the next", async () => {
    const heads = [
      {
        anchoredAt: 1_002,
        receipts: [
          { account: a, tokens: 5n },
          { account: b, tokens: 2n },
        ],
      },
      {
        anchoredAt: 1_018,
        receipts: [
          { account: b, tokens: 7n },
          { account: c, tokens: 1n },
        ],
      },
    ];
    const waiting = createLedger();
    for (const head of heads) waiting.add(head);
    waiting.now = 1_033;
    const together = await compute(waiting, 2);

    const prompt = createLedger();
    prompt.add(heads[0]!);
    prompt.now = 1_017;
    const first = await compute(prompt, 1);
    prompt.activate(first);
    prompt.add(heads[1]!);
    prompt.now = 1_033;
    const second = await compute(prompt, 2);
    const [one, two, all] = [first, second, together].map(earned);
    for (const account of [a, b, c]) expect((one?.[account] ?? 0n) + (two?.[account] ?? 0n)).toBe(all?.[account] ?? 0n);
    expect(Object.keys(two!)).not.toContain(a);
    expect(first.manifest).toMatchObject({ index: 1, fromEpoch: 1, toEpoch: 1, previousRoot: zeroHash });
    expect(second.manifest).toMatchObject({ index: 2, fromEpoch: 2, toEpoch: 2, previousRoot: first.manifest.root });
    expect(together.manifest).toMatchObject({ index: 1, fromEpoch: 1, toEpoch: 2 });
    expect(second.attestation.total).toBe(1_000n);
    expect(second.manifest.previous).toBe(first.attestation.epochDigest);
    expect(second.inputs.epochs.map(({ epoch }) => epoch)).toEqual([2]);
    // Whoever has lost a root's rewards adds up what its epochs earned.
    waiting.activate(together);
    const { runId } = waiting.roots[0]!;
    expect(await rewardsFromInputs(waiting.modules.blobs, runId, together.manifest)).toEqual(together.rewards);
  });

  // foundation 10
  it("pay a round that was open while the holders decided, and nothing for work under parameters of long ago", async () => {
    const ledger = createLedger();
    // Twice the longest round, 24 seconds, is more than the epoch of 16.
    ledger.roundDeadline = () => 3;
    ledger.versions.push({ from: 1_010, version: 2 });
    ledger.add({ anchoredAt: 1_017, paramsVersion: 1, receipts: [{ account: a, tokens: 1n }] });
    ledger.add({ anchoredAt: 1_033, paramsVersion: 1, receipts: [{ account: a, tokens: 1n }] });
    ledger.add({ anchoredAt: 1_034, paramsVersion: 1, receipts: [{ account: c, tokens: 1n }] });
    ledger.add({ anchoredAt: 1_035, paramsVersion: 2, receipts: [{ account: b, tokens: 1n }] });
    ledger.now = 1_050;
    const computation = await compute(ledger, 3);
    expect(earned(computation)).toEqual({ [a]: 1_500n, [b]: 500n });
    expect(
      computation.inputs.epochs.flatMap(({ heads }) => heads.map(({ minParamsVersion }) => minParamsVersion)),
    ).toEqual([1, 1, 2, 2]);
  });

  // foundation 10
  it("pay a round of as long as the parameters that it ran under let it be", async () => {
    const ledger = createLedger();
    ledger.roundDeadline = (version) => (version === 2 ? 3 : 1);
    ledger.versions.push({ from: 1_010, version: 2 }, { from: 1_100, version: 3 });
    ledger.add({ anchoredAt: 1_120, paramsVersion: 2, receipts: [{ account: a, tokens: 1n }] });
    ledger.now = 1_150;
    expect(earned(await compute(ledger, 8))).toEqual({ [a]: 1_000n });
  });

  it("have an epoch's time for a change at least, however short the rounds", async () => {
    const ledger = createLedger();
    ledger.versions.push({ from: 1_010, version: 2 });
    ledger.add({ anchoredAt: 1_025, paramsVersion: 1, receipts: [{ account: a, tokens: 1n }] });
    ledger.add({ anchoredAt: 1_026, paramsVersion: 1, receipts: [{ account: b, tokens: 1n }] });
    ledger.now = 1_050;
    expect(earned(await compute(ledger, 2))).toEqual({ [a]: 1_000n });
  });

  it("cover several runs of one model, and name the last heads of those that finished", async () => {
    const ledger = createLedger();
    const last = ledger.add({ run: 1, anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    const head = ledger.add({ run: 0, anchoredAt: 1_010, receipts: [{ account: b, tokens: 3n }] });
    ledger.now = 1_016;
    const { manifest, ...computation } = await compute(ledger, 1);
    expect(manifest).toMatchObject({
      runId: head.runId,
      head: head.head,
      finished: [{ runId: last.runId, head: last.head }],
    });
    expect(earned({ manifest, ...computation })).toEqual({ [a]: 250n, [b]: 750n });
  });

  it("find nothing to attest where nothing was anchored or earned", async () => {
    const ledger = createLedger();
    ledger.add({ anchoredAt: 1_001, receipts: [] });
    ledger.now = 1_040;
    expect(await computeEpoch(ledger.modules, { modelId, epoch: 1, verdicts: [] })).toMatchObject({ kind: "nothing" });
    expect(await computeEpoch(ledger.modules, { modelId, epoch: 2, verdicts: [] })).toMatchObject({ kind: "nothing" });
    expect(await dueEpoch(ledger.modules.reader, modelId)).toBe(1);
  });

  it("refuse epochs that are not over, covered already, or behind a pending root", async () => {
    const ledger = createLedger();
    ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    ledger.now = 1_015;
    expect(await dueEpoch(ledger.modules.reader, modelId)).toBeUndefined();
    await expect(compute(ledger, 1)).rejects.toMatchObject({ code: "EPOCH_NOT_OVER", retryable: true });
    ledger.now = 1_016;
    const computation = await compute(ledger, 1);
    ledger.pending = {
      index: 1,
      fromEpoch: 1,
      root: computation.manifest.root,
      total: 1n,
      epoch: 1,
      activatableAt: 0,
      deadline: 0,
      digest: computation.manifest.root,
      attestation: computation.attestation,
    };
    await expect(compute(ledger, 1)).rejects.toMatchObject({ code: "ROOT_PENDING", retryable: true });
    ledger.pending = undefined;
    ledger.activate(computation);
    await expect(compute(ledger, 1)).rejects.toMatchObject({ code: "EPOCH_SUPERSEDED" });
  });

  it("need nothing of what was published for the root before", async () => {
    const ledger = createLedger();
    ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    ledger.now = 1_016;
    ledger.activate(await compute(ledger, 1));
    ledger.add({ anchoredAt: 1_020, receipts: [{ account: b, tokens: 1n }] });
    ledger.now = 1_033;
    const gone = { blob: async () => Promise.reject(new UserError("BLOB_MISSING", "It is lost.")) };
    const result = await computeEpoch({ ...ledger.modules, blobs: gone }, { modelId, epoch: 2, verdicts: [] });
    if (result.kind === "nothing") throw new TypeError(result.reason);
    expect(earned(result.computation)).toEqual({ [b]: 1_000n });
    expect(result.computation.manifest.previous).toBe(ledger.roots[0]!.epochDigest);
  });

  // foundation 16: a receipt under two heads
  it("refuse a receipt that stands under two heads, which would be paid twice", async () => {
    const ledger = createLedger();
    const receiptHash = `0x${"5a".repeat(32)}` as const;
    ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n, receiptHash }] });
    ledger.now = 1_016;
    await expect(compute(ledger, 1)).resolves.toBeDefined();
    ledger.add({ anchoredAt: 1_017, receipts: [{ account: a, tokens: 1n, receiptHash }] });
    ledger.now = 1_033;
    await expect(compute(ledger, 2)).rejects.toMatchObject({ code: "DOCUMENT_RECEIPT", details: { receiptHash } });
  });

  it("are due one posting delay after the end, later when that has passed, and never far ahead", async () => {
    const { schedule } = createLedger();
    expect(deadlineOf(schedule, 1, 1_016)).toBe(1_028);
    expect(deadlineOf(schedule, 1, 1_025)).toBe(1_028);
    expect(deadlineOf(schedule, 1, 1_026)).toBe(1_040);
    // 3, 6, 12, 24 and 36 seconds are left at least, and no more than 36, however often it failed.
    expect([0, 1, 2, 3, 4, 5, 1_000].map((expired) => deadlineOf(schedule, 1, 1_028, expired))).toEqual([
      1_040, 1_040, 1_040, 1_052, 1_064, 1_064, 1_064,
    ]);
    const ledger = createLedger();
    ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    ledger.now = 1_020;
    for (const deadline of [1_016, 1_029, 1_016 + 12 * 6])
      await expect(computeEpoch(ledger.modules, { modelId, epoch: 1, verdicts: [], deadline })).rejects.toMatchObject({
        code: "DEADLINE_REFUSED",
      });
  });

  it.each(["chainTime", "settledTime"] as const)(
    "are computed of no %s that one answer alone has put far ahead",
    async (name) => {
      const ledger = createLedger();
      ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
      ledger.now = name === "chainTime" ? 1_020 : 1_010;
      for (const epoch of [1, 2]) {
        let lies = 1;
        const reader = { ...ledger.modules.reader, [name]: async () => ledger.now + 10 ** 9 * lies-- };
        if (name === "settledTime") reader.chainTime = async () => 1_060;
        else reader.settledTime = async () => 1_060;
        const modules = { ...ledger.modules, reader };
        await expect(computeEpoch(modules, { modelId, epoch, verdicts: [] })).rejects.toMatchObject({
          code: "CHAIN_MOVED",
          retryable: true,
        });
      }
    },
  );
});

describe("verdicts", () => {
  it("decide by more than half of the head's aggregate verdicts, and by nothing that nobody can judge yet", async () => {
    const ledger = withValidators(createLedger());
    const head = ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    const other = ledger.add({
      anchoredAt: 1_002,
      receipts: [
        { account: b, tokens: 1n },
        { account: c, tokens: 1n },
      ],
    });
    ledger.now = 1_016;
    const against = [
      await verdict(head, { value: 0n, index: drawn(head, 0, ledger) }, 0),
      await verdict(head, { value: 0n, index: drawn(head, 1, ledger) }, 1),
      await verdict(head, { index: drawn(head, 2, ledger) }, 2),
    ];
    // One member alone would take everybody else's pay.
    const invented = [
      await verdict(other, { kind: verdictKind.utility, worker: b, value: 0n }, 0),
      await verdict(other, { kind: verdictKind.replay, worker: b, value: 0n }, 0),
    ];
    const computation = await compute(ledger, 1, [...against, ...invented]);
    expect(earned(computation)).toEqual({ [b]: 500n, [c]: 500n });
    expect(computation.verdicts.verdicts).toHaveLength(3);
    expect(earned(await compute(ledger, 1, [against[0]!, against[2]!]))).toEqual({
      [a]: 333n,
      [b]: 333n,
      [c]: 333n,
    });
  });

  it("count only if signed by a member, about a head of the epochs, with a value of their kind, the first of its key", async () => {
    const ledger = withValidators(createLedger());
    const head = ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    ledger.now = 1_016;
    const index = drawn(head, 0, ledger);
    const good = await verdict(head, { index });
    const forged = { ...(await verdict(head, { index }, 1)), signature: good.signature };
    const elsewhere = await verdict({ ...head, head: `0x${"11".repeat(32)}` }, { index });
    const odd = await verdict(head, { value: 5_000n, index: drawn(head, 1, ledger) }, 1);
    const beyond = await verdict(head, { index: 4 });
    const second = await verdict(head, { value: 0n, index });
    const wrongRound = await verdict(head, { index: drawn(head, 2, ledger), round: 9n }, 2);
    const { verdicts } = await compute(ledger, 1, [good, forged, elsewhere, odd, beyond, second, wrongRound]);
    expect(verdicts.verdicts).toEqual([good]);
    ledger.validators = [lower(validators[1]!.address)];
    expect((await compute(ledger, 1, [good])).verdicts.verdicts).toEqual([]);
  });

  it("void a head whose documents are gone, so that later epochs are paid, if more than half say so", async () => {
    const ledger = withValidators(createLedger());
    const lost = ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    ledger.add({ anchoredAt: 1_002, receipts: [{ account: b, tokens: 1n }] });
    ledger.add({ anchoredAt: 1_017, receipts: [{ account: c, tokens: 1n }] });
    ledger.now = 1_033;
    const read = ledger.modules.documents.read.bind(ledger.modules.documents);
    Object.assign(ledger.modules.documents, {
      read: async (...given: Parameters<typeof read>) => {
        if (given[1].head === lost.head)
          throw new DocumentError("DOCUMENT_MALFORMED", "A document of it is malformed.");
        return read(...given);
      },
    });
    const said = (who: number, value: bigint) => verdict(lost, { value, index: drawn(lost, who, ledger) }, who);
    const [no, neither, holds] = await Promise.all([said(0, 0n), said(1, 0n), said(2, 10_000n)]);
    for (const verdicts of [[], [holds], [no, holds]])
      await expect(compute(ledger, 2, verdicts)).rejects.toMatchObject({ code: "DOCUMENT_MALFORMED" });
    const computation = await compute(ledger, 2, [no, neither, holds]);
    expect(earned(computation)).toEqual({ [b]: 1_000n, [c]: 1_000n });
    expect(computation.inputs.epochs.flatMap(({ heads }) => heads).map(({ head }) => head)).toContain(lost.head);
  });

  // foundation 15
  it("about an aggregate count only where sortition sent their validator, by the blocks as they are now", async () => {
    const ledger = withValidators(createLedger());
    const head = ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    ledger.add({ anchoredAt: 1_002, receipts: [{ account: b, tokens: 1n }] });
    ledger.now = 1_016;
    const index = drawn(head, 0, ledger);
    // Whoever looked where it liked would decide the pay with one honest verdict less against it.
    const all = await Promise.all([0, 1, 2, 3].map((each) => verdict(head, { index: each, value: 0n })));
    const counted = async () => (await compute(ledger, 1, all)).verdicts.verdicts.map((each) => each.verdict.index);
    expect(await counted()).toEqual([index]);
    const before = ledger.blockHash;
    let salt = 0;
    do {
      salt += 1;
      const other = digestOfJson({ salt });
      ledger.blockHash = () => other;
    } while (drawn(head, 0, ledger) === index);
    expect(await counted()).toEqual([drawn(head, 0, ledger)]);
    // The block that decides is not told of: what counts is not known, and nothing is made of the rest.
    ledger.blockHash = (block) => (block > head.block && block < ledger.now ? undefined : before(block));
    await expect(counted()).rejects.toMatchObject({ code: "CHAIN_RPC", retryable: true });
  });

  it("confirm what another member drew and nothing else, and are one voice of their validator", async () => {
    const ledger = withValidators(createLedger());
    const head = ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    ledger.add({ anchoredAt: 1_002, receipts: [{ account: b, tokens: 1n }] });
    ledger.now = 1_016;
    const [first, second, third] = validators.map((each) => lower(each.address)) as [Address, Address, Address];
    const own = await Promise.all([
      verdict(head, { index: drawn(head, 0, ledger), value: 0n }, 0),
      verdict(head, { index: drawn(head, 1, ledger) }, 1),
      verdict(head, { index: drawn(head, 2, ledger) }, 2),
    ]);
    const confirmation = (worker: Address, index: number, who: number, value = 0n) =>
      verdict(head, { kind: verdictKind.confirmation, worker, index, value }, who);
    const index = drawn(head, 0, ledger);
    const refused = [
      await confirmation(first, (index + 1) % 4, 1),
      await confirmation(first, index, 1, 10_000n),
      await confirmation(second, drawn(head, 1, ledger), 1),
      await confirmation(c, index, 1),
      // One validator, who would have a voice for each name.
      await verdict(head, { worker: third, index: drawn(head, 2, ledger), value: 0n }, 2),
    ];
    const one = await compute(ledger, 1, [...own, ...refused]);
    expect(one.verdicts.verdicts).toHaveLength(3);
    expect(earned(one)).toEqual({ [a]: 500n, [b]: 500n });
    // What the first finds by itself it may confirm of others too: still one voice of three.
    const alone = [
      await confirmation(second, drawn(head, 1, ledger), 0),
      await confirmation(third, drawn(head, 2, ledger), 0),
    ];
    expect(earned(await compute(ledger, 1, [...own, ...alone]))).toEqual({ [a]: 500n, [b]: 500n });
    const two = await compute(ledger, 1, [...own, await confirmation(first, index, 1)]);
    expect(earned(two)).toEqual({ [b]: 1_000n });
  });

  it("about held-out loss count whatever else they say, and change nobody's pay", async () => {
    const ledger = withValidators(createLedger());
    const head = ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    ledger.now = 1_016;
    const lost = [
      await verdict(head, { kind: verdictKind.loss, worker: b, value: 2n ** 60n }, 0),
      await verdict(head, { kind: verdictKind.loss, index: 99, value: 0n }, 1),
    ];
    const computation = await compute(ledger, 1, lost);
    expect(computation.verdicts.verdicts).toHaveLength(2);
    expect(earned(computation)).toEqual(earned(await compute(ledger, 1, [])));
  });

  it("in any order give the same documents", async () => {
    const ledger = withValidators(createLedger());
    const head = ledger.add({ anchoredAt: 1_001, receipts: [{ account: a, tokens: 1n }] });
    ledger.now = 1_016;
    const all = await Promise.all(
      [0, 1, 2].flatMap((who) => [
        verdict(head, { index: drawn(head, who, ledger) }, who),
        verdict(head, { kind: verdictKind.loss, value: 2_000_000n }, who),
      ]),
    );
    const one = await compute(ledger, 1, all);
    const two = await compute(ledger, 1, all.toReversed());
    expect(canonicalJson(two.manifest)).toBe(canonicalJson(one.manifest));
  });
});

/** Settles what is due, if anything is, and checks every sum on the way. */
const settleDue = async (ledger: Ledger, now: number): Promise<EpochComputation | undefined> => {
  ledger.now = Math.max(ledger.now, now);
  const before = ledger.active;
  const due = await dueEpoch(ledger.modules.reader, modelId);
  if (due === undefined) return undefined;
  const result = await computeEpoch(ledger.modules, { modelId, epoch: due, verdicts: [] });
  if (result.kind === "nothing") return undefined;
  const { computation } = result;
  const added = computation.attestation.total;
  let allowed = 0n;
  for (let epoch = (before?.epoch ?? 0) + 1; epoch <= due; epoch++) allowed += ledger.budget(epoch);
  expect(added).toBeGreaterThanOrEqual(0n);
  expect(added).toBeLessThanOrEqual(allowed);
  for (const { budget, contributions } of computation.inputs.epochs) {
    const paid = contributions.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
    expect(paid).toBeLessThanOrEqual(BigInt(budget));
  }
  const leaves = computation.rewards.leaves.map(({ account, amount }) => ({ account, amount: BigInt(amount) }));
  expect(rewardTree({ modelId, index: (before?.index ?? 0) + 1 }, leaves).root).toBe(computation.attestation.root);
  ledger.activate(computation);
  return computation;
};

describe("sums", () => {
  const receipt = fc.record({
    account: fc.constantFrom(...accounts),
    tokens: fc.bigInt(1n, 1n << 40n),
    outcome: fc.constantFrom(0, 0, 0, 3),
  });
  const plan = fc.record({
    heads: fc.array(
      fc.record({
        gap: fc.integer({ min: 0, max: 40 }),
        run: fc.constantFrom(0, 1),
        receipts: fc.array(receipt, { maxLength: 5 }),
      }),
      { minLength: 1, maxLength: 12 },
    ),
    budgets: fc.array(fc.bigInt(0n, 10n ** 24n), { minLength: 1, maxLength: 5 }),
    settleAfter: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
  });

  it("never exceed the budgets of the epochs with work, and do not depend on when epochs are settled", async () => {
    await fc.assert(
      fc.asyncProperty(plan, async ({ heads, budgets, settleAfter }) => {
        const settle = async (eager: boolean): Promise<Record<string, bigint>> => {
          const ledger = createLedger();
          ledger.budget = (epoch) => budgets[epoch % budgets.length]!;
          const sums: Record<string, bigint> = {};
          const count = (root: EpochComputation | undefined): void => {
            for (const [account, amount] of Object.entries(root ? earned(root) : {}))
              sums[account] = (sums[account] ?? 0n) + amount;
          };
          let time = 1_000;
          for (const [i, { gap, run, receipts }] of heads.entries()) {
            time += gap;
            if (eager && settleAfter[i]) count(await settleDue(ledger, time));
            ledger.add({ run, anchoredAt: time, receipts });
          }
          count(await settleDue(ledger, time + 40));
          return sums;
        };
        expect(await settle(true)).toEqual(await settle(false));
      }),
      { numRuns: 60 },
    );
  });

  it("put every time into exactly one epoch", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 0, max: 100_000 }), (epochLength, offset) => {
        const schedule = { start: 1_000, epochLength, postingDelay: 1, window: 1 };
        const epoch = epochAt(schedule, 1_000 + offset);
        expect(1_000 + (epoch - 1) * epochLength).toBeLessThanOrEqual(1_000 + offset);
        expect(1_000 + epoch * epochLength).toBeGreaterThan(1_000 + offset);
      }),
    );
  });
});

it("an epoch lacks neither its last head nor the root before it where an RPC left it out", async () => {
  const ledger = createLedger();
  const receipts = [{ account: a, tokens: 10n }];
  ledger.add({ anchoredAt: 1_001, receipts });
  ledger.add({ anchoredAt: 1_002, receipts });
  ledger.now = 1_016;
  const input = { modelId, epoch: 1, verdicts: [] };
  const first = await computeEpoch(ledger.modules, input);
  expect(await computeEpoch(leavingOut(ledger), input)).toEqual(first);
  if (first.kind === "nothing") throw new Error(first.reason);
  ledger.activate(first.computation);
  ledger.add({ anchoredAt: 1_017, receipts });
  ledger.now = 1_032;
  const next = { ...input, epoch: 2 };
  const second = await computeEpoch(leavingOut(ledger), next);
  expect(second).toEqual(await computeEpoch(ledger.modules, next));
  expect(second.kind).toBe("computed");
});
