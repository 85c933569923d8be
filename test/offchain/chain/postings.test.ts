/** What postings look for on-chain. */
import {
  asDigest,
  asRunId,
  type Attestation,
  type ContractAddresses,
  digestOfJson,
  headHash,
  type HeadHash,
  type ModelId,
  structHash,
  toWire,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { beforeEach, describe, expect, it } from "vitest";

import { RetryableError } from "../../../offchain/src/base/index.ts";
import { createBonds } from "../../../offchain/src/chain/bonds.ts";
import type { Journal } from "../../../offchain/src/chain/journal.ts";
import type { ChainReader, ModelSchedule } from "../../../offchain/src/chain/ports.ts";
import { createPostingKinds } from "../../../offchain/src/chain/postings.ts";
import { readRoots } from "../../../offchain/src/chain/reads/roots.ts";
import { createManualClock } from "../manualClock.ts";

const noBonds = { due: async () => 0n, ofDispute: async () => 0n };

it("an activation is seen though the event of its root was left out when it was read", async () => {
  const modelId = digestOfJson("model") as unknown as ModelId;
  const root = {
    index: 1,
    fromEpoch: 1,
    epoch: 1,
    root: digestOfJson("root"),
    activatableAt: 1,
    deadline: 1,
    total: 1n,
  };
  const reader = {
    activationsOf: async () => [{ ...root, modelId, transaction: digestOfJson("activated"), block: 9 }],
    // Who names one that must be there has all read anew.
    rootsOf: async (_model: ModelId, wanted?: string) => (wanted === root.root ? [{ ...root, block: 5 }] : []),
    rulingOn: async () => undefined,
  } as unknown as ChainReader;
  const modules = { reader, addresses: {} as ContractAddresses, bonds: noBonds, journal: () => ({}) as Journal };
  const { activations } = createPostingKinds(modules);
  expect(await activations.done({ modelId, epoch: 1, attestation: { kind: 1 } as never })).toMatchObject({
    block: 9,
    root: { root: root.root },
  });
});

it("an activation waits while the root is disputed, however late it is", async () => {
  const modelId = digestOfJson("model") as unknown as ModelId;
  let activatableAt: number | undefined;
  const reader = { pendingRoot: async () => ({ activatableAt }), chainTime: async () => 10 } as unknown as ChainReader;
  const modules = { reader, addresses: {} as ContractAddresses, bonds: noBonds, journal: () => ({}) as Journal };
  const { activations } = createPostingKinds(modules);
  const prepared = () => activations.prepare({ modelId, epoch: 1, attestation: { kind: 1 } as never });
  expect(await prepared()).toMatchObject({ code: "ROOT_DISPUTED", retryable: true });
  activatableAt = 11;
  expect(await prepared()).toMatchObject({ code: "WINDOW_OPEN" });
  activatableAt = 10;
  expect(await prepared()).toBe("send");
});

it("the root in its window is the one that was posted under its digest, and is asked for again where its posting is left out", async () => {
  const modelId = digestOfJson("model") as unknown as ModelId;
  const digest = digestOfJson("attestation");
  const view = { digest, index: 2, fromEpoch: 3, toEpoch: 4, activatableAt: undefined, asOf: 1 };
  const other = { digest: digestOfJson("another"), root: digestOfJson("other root") };
  const told: object[] = [other];
  const events = { newRoots: async () => told } as unknown as Parameters<typeof readRoots>[1];
  const from = { connection: { call: async () => view }, addresses: {} } as unknown as Parameters<typeof readRoots>[0];
  const models = readRoots(from, events, 1);
  await expect(models.pendingRoot(modelId)).rejects.toMatchObject({ code: "CHAIN_RPC", retryable: true });
  told.push({ digest, index: 2, root: digestOfJson("root"), total: 7n, fromEpoch: 3, epoch: 4, deadline: 9 });
  expect(await models.pendingRoot(modelId)).toMatchObject({ root: digestOfJson("root"), total: 7n, epoch: 4 });
});

const payloadOf = (attestation: Attestation) => ({ attestation: toWire("Attestation", attestation), signatures: [] });
const eventOf = (attestation: Attestation) => ({
  index: 1,
  root: attestation.root,
  total: 7n,
  digest: structHash("Attestation", attestation),
  transaction: digestOfJson(String(attestation.blockNumber)),
});

describe("posting a root", () => {
  const modelId = digestOfJson("model") as unknown as ModelId;
  const attestationOf = (blockNumber: bigint): Attestation => ({
    kind: 1,
    modelId,
    index: 1n,
    fromEpoch: 1n,
    toEpoch: 2n,
    runId: digestOfJson("run"),
    head: digestOfJson("head"),
    epochDigest: digestOfJson("epoch"),
    previousRoot: zeroHash,
    root: digestOfJson("root"),
    total: 7n,
    setVersion: 1,
    blockNumber,
    blockHash: digestOfJson(String(blockNumber)),
    deadline: 100n,
  });
  const [first, second] = [attestationOf(1n), attestationOf(2n)];
  let rulings: Map<string, string>;
  let events: object[];
  let cost: { bond: bigint; level: number; isDue: boolean };
  let balance: bigint;
  let replaced: number | undefined;
  let now: number;
  const clock = createManualClock(1_000);
  const bonds = () =>
    createBonds({
      reader: {
        disputeCost: async () => cost,
        chainTime: async () => now,
        schedule: async () => ({ window: 20 }) as ModelSchedule,
        rootsOfKind: () => Promise.reject(new Error("Of revenue nobody asks.")) as never,
      },
      clock,
      atMost: 40n,
      maxFee: 10n,
      balance: async () => balance,
      replacedFrom: async () => replaced,
    });
  const rootsOf = (modules = bonds()) => {
    const reader = {
      rootsOf: async () => events,
      rulingOn: async (digest: string) => rulings.get(digest),
      chainTime: async () => now,
    } as unknown as ChainReader;
    return createPostingKinds({
      reader,
      addresses: { computeRewards: `0x${"c1".repeat(20)}` } as unknown as ContractAddresses,
      bonds: modules,
      journal: () => ({}) as Journal,
    }).roots;
  };
  beforeEach(() => {
    rulings = new Map();
    events = [];
    cost = { bond: 20n, level: 1, isDue: false };
    balance = 100n;
    replaced = undefined;
    now = 50;
  });

  it("is done by whoever posted the same root, but not by a posting that was disputed away", async () => {
    const roots = rootsOf();
    expect(await roots.done(payloadOf(second))).toBeUndefined();
    events = [eventOf(first)];
    expect(await roots.done(payloadOf(second))).toMatchObject({ transaction: digestOfJson("1") });
    for (const ruling of ["void", "undecided"]) {
      rulings.set(structHash("Attestation", first), ruling);
      expect(await roots.done(payloadOf(second))).toBeUndefined();
    }
    events.push(eventOf(second));
    expect(await roots.done(payloadOf(second))).toMatchObject({ transaction: digestOfJson("2") });
    rulings.set(structHash("Attestation", first), "stands");
    events.pop();
    expect(await roots.done(payloadOf(second))).toBeDefined();
  });

  it("is refused for good where a dispute about this attestation has ended, and after its deadline", async () => {
    const roots = rootsOf();
    expect(await roots.prepare(payloadOf(first))).toBe("send");
    rulings.set(structHash("Attestation", first), "undecided");
    expect(await roots.prepare(payloadOf(first))).toMatchObject({ code: "ATTESTATION_RULED", retryable: false });
    expect(await roots.prepare(payloadOf(second))).toBe("send");
    now = 101;
    expect(await roots.prepare(payloadOf(second))).toMatchObject({ code: "ATTESTATION_EXPIRED", retryable: false });
  });

  it("bears the bond that is due, and nothing where none is", async () => {
    const roots = rootsOf();
    expect(await roots.coins!(payloadOf(first))).toBe(0n);
    cost = { ...cost, isDue: true };
    expect(await roots.prepare(payloadOf(first))).toBe("send");
    expect(await roots.coins!(payloadOf(first))).toBe(20n);
  });

  it("puts up no bond that another contract's taking over would keep", async () => {
    const roots = rootsOf();
    replaced = 70;
    // Without a bond nothing is lost.
    expect(await roots.prepare(payloadOf(first))).toBe("send");
    cost = { ...cost, isDue: true };
    expect(await roots.prepare(payloadOf(first))).toMatchObject({ code: "BOND_SUCCEEDED", retryable: true });
    await expect(roots.coins!(payloadOf(first))).rejects.toMatchObject({ code: "BOND_SUCCEEDED" });
    replaced = 71;
    expect(await roots.prepare(payloadOf(first))).toBe("send");
  });

  it("waits where the bond is more than is allowed or there, and says what lacks, until it does not", async () => {
    const own = bonds();
    const roots = rootsOf(own);
    expect(own.wait()).toBeUndefined();
    cost = { bond: 41n, level: 2, isDue: true };
    expect(await roots.prepare(payloadOf(first))).toMatchObject({ code: "BOND_TOO_HIGH", retryable: true });
    expect(own.wait()).toEqual({ what: "bond", asked: 41n, allowed: 40n, since: clock.now() });
    cost = { ...cost, bond: 40n };
    balance = 49n;
    expect(await roots.prepare(payloadOf(first))).toMatchObject({ code: "BOND_LACKING", retryable: true });
    expect(own.wait()).toMatchObject({ what: "bondCoins", asked: 50n, allowed: 49n });
    balance = 50n;
    expect(await roots.prepare(payloadOf(first))).toBe("send");
    expect(own.wait()).toBeUndefined();
    // Nobody asks any more: somebody else has posted one.
    balance = 0n;
    expect(await roots.prepare(payloadOf(first))).toBeInstanceOf(RetryableError);
    await clock.advance(120_000);
    expect(own.wait()).toBeUndefined();
  });

  it("is not tried while the chain does not say what a dispute costs", async () => {
    const away = new RetryableError("CHAIN_UNREACHABLE", "away");
    const roots = rootsOf({ due: () => Promise.reject(away), ofDispute: async () => 0n, wait: () => undefined });
    await expect(roots.prepare(payloadOf(first))).rejects.toBe(away);
  });

  it("is not activated by an attestation that was disputed away", async () => {
    const reader = {
      pendingRoot: async () => undefined,
      chainTime: async () => now,
      rulingOn: async (digest: string) => rulings.get(digest),
    } as unknown as ChainReader;
    const modules = { reader, addresses: {} as ContractAddresses, bonds: noBonds, journal: () => ({}) as Journal };
    const { activations } = createPostingKinds(modules);
    const payload = { modelId, epoch: 2, attestation: toWire("Attestation", first) };
    expect(await activations.prepare(payload)).toBe("send");
    rulings.set(structHash("Attestation", first), "void");
    expect(await activations.prepare(payload)).toMatchObject({ code: "ROOT_FAILED", retryable: true });
  });
});

describe("a head of a run that went back, where the chain loses it", () => {
  const runId = asRunId(digestOfJson("run"));
  const addresses = { checkpointRegistry: `0x${"c1".repeat(20)}` } as unknown as ContractAddresses;
  const link = (parentHead: HeadHash | typeof zeroHash, sequence: number, round: number) => {
    const checkpointDigest = asDigest(digestOfJson(`checkpoint ${sequence}`));
    const fields = { runId, parentHead, round, paramsVersion: 1, checkpointDigest, receiptsRoot: zeroHash };
    const place = { chainId: 31_337n, registry: addresses.checkpointRegistry, sequence: BigInt(sequence) };
    return { ...fields, fields, sequence, head: headHash({ ...fields, ...place, round: BigInt(round) }) };
  };
  type Link = ReturnType<typeof link>;
  // Two rounds, the second taken back, and two rounds on.
  const chain = [0, 1, 2, 1, 2, 3].reduce<Link[]>(
    (links, round, i) => [...links, link(links.at(-1)?.head ?? zeroHash, i, round)],
    [],
  );
  const [zero, first, old, back, second, third] = chain as [Link, Link, Link, Link, Link, Link];
  const own = [zero, first, old, second, third];

  /** The journal where the chain has these, and whose postings were made due again. */
  function at(seen: readonly Link[]) {
    const reopened: string[] = [];
    const keyOf = ({ sequence }: Link) => `head-${sequence}`;
    const journal = {
      all: async () => own.map((each) => ({ key: keyOf(each), payload: each.fields })),
      isOpen: async (_: string, key: string) => reopened.includes(key),
      reopen: async (_: string, key: string) => reopened.push(key) > 0,
    } as unknown as Journal;
    const { head, sequence, round } = seen.at(-1)!;
    const reader = {
      chainId: 31_337,
      head: async () => ({ head, sequence, round }),
      headsSince: async () => seen,
    } as unknown as ChainReader;
    const { heads } = createPostingKinds({ reader, addresses, bonds: noBonds, journal: () => journal });
    return { prepare: ({ fields }: Link) => heads.prepare(fields), reopened };
  }

  it("has its own parent made due again, and not what was of the same round before", async () => {
    const { prepare, reopened } = at([zero, first, old, back]);
    expect(await prepare(third)).toBe("wait");
    expect(reopened).toEqual(["head-4"]);
    expect(await prepare(third)).toBe("wait");
    expect(reopened).toEqual(["head-4"]);
    expect(await prepare(second)).toBe("send");
  });

  it("has nothing made due where the rollback is lost too: nobody here carries it out", async () => {
    for (const seen of [
      [zero, first, old],
      [zero, first],
    ]) {
      const { prepare, reopened } = at(seen);
      // The contract refuses it until the rollback is there.
      expect(await prepare(second)).toBe("send");
      expect(reopened).toEqual([]);
    }
  });
});
