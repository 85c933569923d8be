/** A validator against a real chain and a coordinator that may lie. */
import { join } from "node:path";

import {
  asHead,
  digestOfJson,
  domainFor,
  drawnFragment,
  type EpochView,
  fromWire,
  SORTITION_DELAY_BLOCKS,
  sortitionSeed,
  recoverSigner,
  type SignedVerdict,
  toWire,
  typedDataOf,
  verdictKind,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { type Logger, openDatabase } from "../../../offchain/src/service/index.ts";
import {
  openStatements,
  statementMigrations,
  type StatementSchema,
  logEvent,
} from "../../../offchain/src/validator/index.ts";
import { fragments, poster, type RoundOptions } from "../chain/world.ts";
import { dueEpoch } from "../run/dueEpoch.ts";
import {
  lower,
  node,
  world,
  chain,
  stop,
  board,
  start,
  eventually,
  looked,
  development,
  later,
  post,
  publish,
  compute,
  about,
  openWorld,
  closeWorld,
  me,
  another,
} from "./harness.ts";

beforeAll(openWorld, 60_000);
afterEach(() => stop());
afterAll(closeWorld);

/** What a validator signs of a checkpoint that is forged so. */
async function signedOf(forge: NonNullable<RoundOptions["forge"]>): Promise<string> {
  const { round } = world.publisher.checkpoint();
  await post({ forge });
  await development().mine({ blocks: 2 });
  await start();
  const [signed] = await eventually("the verdict", () => (about(round).length > 0 ? about(round) : undefined));
  return signed!.verdict.value;
}

describe("a validator", () => {
  it("waits for the block that decides the sortition, then finds an honest fragment equal", async () => {
    await post();
    const { events } = await start();
    await looked();
    expect(about(0)).toEqual([]);
    await development().mine({ blocks: 2 });
    const [signed] = await eventually("the verdict", () => (about(0).length > 0 ? about(0) : undefined));
    expect(signed!.verdict).toMatchObject({
      value: "10000",
      validator: lower(me.address),
      head: (await chain.head(world.runId)).head,
    });
    expect(signed!.verdict.index).toBeLessThan(4);
    const domain = domainFor(world.chainId, world.contracts.runRegistry);
    expect(await recoverSigner(domain, "Verdict", fromWire("Verdict", signed!.verdict), signed!.signature)).toBe(
      lower(me.address),
    );
    expect(events).toContainEqual(expect.objectContaining({ type: "judged", round: 1, holds: true }));
  });

  // foundation 16: a validator that always draws fragment 0
  it.each([
    ["a forged aggregate", (values: Float32Array) => void (values[0]! += 1)],
    ["an aggregate off by one bit", (values: Float32Array) => void (new Uint32Array(values.buffer)[0]! ^= 1)],
  ])("signs 0 for %s, in whichever fragment it was drawn", async (_name, change) => {
    expect(await signedOf((states) => states.forEach(({ params }) => change(params)))).toBe("0");
  });

  it("signs 0 for an outer state that does not follow", async () => {
    expect(await signedOf((states) => states.forEach(({ outer }) => void (outer[outer.length - 1]! += 0.5)))).toBe("0");
  });

  it("keeps what it has to say while the coordinator is away", async () => {
    const { round } = world.publisher.checkpoint();
    await post();
    await development().mine({ blocks: 2 });
    board.away = true;
    const { events } = await start();
    await eventually("a retry", () => events.find(({ type }) => type === "retrying"));
    board.away = false;
    const [signed] = await eventually("the verdict", () => (about(round).length > 0 ? about(round) : undefined));
    expect(signed!.verdict.value).toBe("10000");
  });

  it("says the same and nothing else after a restart", async () => {
    const before = structuredClone(board.verdicts);
    board.verdicts = [];
    await start();
    await looked();
    expect(board.verdicts).toEqual([]);
    board.verdicts = before;
  });

  // foundation 15
  it("has its say about the fragment that is drawn now when the chain went back", async () => {
    const before = structuredClone(board.verdicts);
    const [{ verdict: first }] = about(0) as [SignedVerdict];
    await start();
    const reader = chain.blockHash.bind(chain);
    let hash: `0x${string}` = zeroHash;
    for (
      let salt = 0;
      drawnFragment(sortitionSeed(hash, asHead(first.head), lower(me.address)), 4) === first.index;
      salt++
    )
      hash = digestOfJson({ salt });
    // Other blocks draw other fragments.
    Object.assign(chain, { blockHash: async () => hash });
    const again = () => about(0).find(({ verdict }) => verdict.index !== first.index);
    const { verdict } = await eventually("the verdict", again);
    await stop();
    Object.assign(chain, { blockHash: reader });
    expect(verdict).toMatchObject({ head: first.head, value: "10000" });
    expect(verdict.index).toBe(drawnFragment(sortitionSeed(hash, asHead(first.head), lower(me.address)), 4));
    // What it said before stands beside it; the chain decides which of the two counts.
    expect(about(0).map((each) => each.verdict.index)).toContain(first.index);
    board.verdicts = before;
  });

  it("refuses to sign a second value for one key", async () => {
    const database = await openDatabase<StatementSchema>(
      join(node.directory, `${me.address}.sqlite`),
      statementMigrations,
    );
    const statements = openStatements(database);
    const [{ verdict }] = about(0) as [SignedVerdict];
    let signed = 0;
    const sign = async (): Promise<`0x${string}`> => {
      signed += 1;
      return "0x";
    };
    await expect(statements.verdict({ ...verdict, value: "0" }, sign)).rejects.toMatchObject({
      code: "EQUIVOCATION_REFUSED",
    });
    expect((await statements.verdict({ ...verdict, issuedAt: "5" }, sign)).struct).toEqual(verdict);
    expect(signed).toBe(0);
    const epoch = await statements.attestation(
      {
        kind: 1,
        modelId: world.modelId,
        index: "3",
        fromEpoch: "8",
        toEpoch: "9",
        runId: world.runId,
        head: verdict.head,
        epochDigest: verdict.head,
        previousRoot: verdict.head,
        root: verdict.head,
        total: "1",
        setVersion: 1,
        blockNumber: "5",
        blockHash: verdict.head,
        deadline: "7",
      },
      sign,
    );
    await expect(statements.attestation({ ...epoch.struct, total: "2" }, sign)).rejects.toMatchObject({
      code: "EQUIVOCATION_REFUSED",
    });
    await expect(statements.attestation({ ...epoch.struct, total: "2", deadline: "19" }, sign)).resolves.toBeDefined();
    expect(signed).toBe(2);
    await database.close();
  });
});

const refusal = async (view: EpochView): Promise<string> => {
  board.epochs = [];
  const { events } = await start();
  await looked();
  board.epochs = [view];
  const found = await eventually("the refusal", () => events.find(({ type }) => type === "refused"));
  expect(board.attestations).toEqual([]);
  return found.type === "refused" ? found.reason : "";
};

const ofAnother = () => board.verdicts.filter(({ verdict }) => verdict.validator === lower(another.address));

describe("an epoch", () => {
  let due: number;
  beforeAll(async () => {
    await later(16);
    due = (await dueEpoch(chain, world.modelId))!;
  });

  it("in which a head is rejected by one of three, and it found that it holds, is not signed", async () => {
    const others = board.verdicts.filter(({ verdict }) => verdict.round !== "0");
    const head = (await chain.headsSince(world.runId, 0)).find(({ round }) => round === 1)!;
    const hash = await chain.blockHash(head.block + Number(SORTITION_DELAY_BLOCKS));
    const struct = {
      runId: world.runId,
      round: 0n,
      head: head.head,
      validator: lower(another.address),
      kind: verdictKind.aggregate,
      worker: `0x${"0".repeat(40)}`,
      index: drawnFragment(sortitionSeed(hash!, head.head, lower(another.address)), fragments),
      value: 0n,
      evidence: zeroHash,
      issuedAt: 1n,
    } as const;
    const domain = domainFor(world.chainId, world.contracts.runRegistry);
    const signature = await another.signTypedData(typedDataOf(domain, "Verdict", struct));
    const denial = { verdict: toWire("Verdict", struct), signature };
    const view = await publish(await compute(due, [...others, denial]));
    expect(await refusal(view)).toContain("checkpoint 1 for not holding by the voices of 1 of 3 validators");
  });

  it.each<[string, (view: EpochView) => EpochView]>([
    ["root", (view) => ({ ...view, attestation: { ...view.attestation, root: `0x${"11".repeat(32)}` } })],
    ["total", (view) => ({ ...view, attestation: { ...view.attestation, total: "1" } })],
    [
      "previousRoot",
      (view) => ({ ...view, attestation: { ...view.attestation, previousRoot: `0x${"11".repeat(32)}` } }),
    ],
    ["kind", (view) => ({ ...view, attestation: { ...view.attestation, kind: 2 } })],
    ["index", (view) => ({ ...view, attestation: { ...view.attestation, index: "2" } })],
    ["fromEpoch", (view) => ({ ...view, attestation: { ...view.attestation, fromEpoch: "9" } })],
    ["setVersion", (view) => ({ ...view, attestation: { ...view.attestation, setVersion: 2 } })],
    ["head", (view) => ({ ...view, attestation: { ...view.attestation, head: `0x${"11".repeat(32)}` } })],
    ["manifest", (view) => ({ ...view, attestation: { ...view.attestation, epochDigest: `0x${"11".repeat(32)}` } })],
  ])("whose %s is not what it computed is not signed", async (field, change) => {
    const view = await publish(await compute(due, board.verdicts));
    const reason = await refusal(change(view));
    expect(reason).toMatch(field === "manifest" ? /another manifest/ : new RegExp(`recomputed: .*${field}`));
  });

  it("that it computed the same is signed, once, and by nobody outside the set", async () => {
    // The second validator has its say first: what it finds forged must be counted in what it signs.
    const { round } = world.publisher.checkpoint();
    await start(another);
    await eventually("its verdicts", () => (ofAnother().length === round ? true : undefined));
    await stop();
    const computation = await compute(due, board.verdicts);
    // Each about the fragment that sortition gave its validator, which no coordinator can foresee.
    for (const { verdict } of board.verdicts) {
      const head = (await chain.headsSince(world.runId, 0)).find((each) => each.head === verdict.head);
      const hash = await chain.blockHash(head!.block + Number(SORTITION_DELAY_BLOCKS));
      expect(verdict.index).toBe(drawnFragment(sortitionSeed(hash!, head!.head, verdict.validator), fragments));
    }
    expect(new Set(board.verdicts.map(({ verdict }) => verdict.index)).size).toBeGreaterThan(1);
    // The forged checkpoints earn nothing: all verdicts about them are 0.
    const paid = computation.inputs.epochs.flatMap(({ contributions }) =>
      contributions.map(({ contribution }) => BigInt(contribution)),
    );
    expect(paid.every((contribution) => contribution === BigInt((4 + 8) * 2 * 16 * 10_000))).toBe(true);
    const view = await publish(computation);
    board.epochs = [view];
    await start();
    const { signature } = await eventually("the attestation", () => board.attestations[0]);
    const domain = domainFor(world.chainId, world.contracts.computeRewards);
    expect(await recoverSigner(domain, "Attestation", computation.attestation, signature)).toBe(lower(me.address));
    await stop();

    // After a restart it gives the same signature again, without computing anew.
    board.attestations = [];
    await start();
    expect(await eventually("the attestation", () => board.attestations[0])).toMatchObject({ signature });
    await stop();

    board.attestations = [];
    const { events } = await start(poster);
    const outside = await eventually("word of it", () => events.find(({ type }) => type === "not-a-member"));
    const said: string[] = [];
    logEvent({ warn: (_: object, text: string) => said.push(text) } as unknown as Logger, outside);
    expect(said).toEqual([
      `${poster.address} is not in this run's validator set (the model's holders decide it): nothing it signs counts`,
    ]);
    await stop();
    expect(board.attestations).toEqual([]);

    await start(another);
    await eventually("the second", () => board.attestations[0]);
    const signatures = [
      { validator: lower(me.address), signature },
      { validator: lower(another.address), signature: board.attestations[0]!.signature },
    ];
    const posted = await chain.postRoot(computation.attestation, signatures, "root-1");
    expect(posted.root.root).toBe(computation.attestation.root);
  });
});

describe("who is to stop", () => {
  it.each(["ran", "asked"] as const)("waits for no answer of the coordinator: %s", async (count) => {
    board.silent = count === "ran";
    const before = board[count];
    await start();
    await eventually("an answer that comes, or does not", () => (board[count] > before ? true : undefined));
    board.silent = true;
    const since = board[count];
    if (count === "asked") await eventually("another question", () => (board[count] > since ? true : undefined));
    await expect(stop()).resolves.toBeUndefined();
    board.silent = false;
  });
});
