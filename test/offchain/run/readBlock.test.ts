/** The block that signers of an epoch say they have read: one that is confirmed where they look, and holds what is paid for. */
import { digestOfJson } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { computeEpoch, type ComputeEpochInput } from "../../../offchain/src/run/index.ts";
import { accounts, createLedger, type Ledger, modelId } from "./ledger.ts";

const [a, b] = accounts;

function withOneHead(): Ledger {
  const ledger = createLedger();
  ledger.add({ anchoredAt: 1_005, receipts: [{ account: a, tokens: 1n }] });
  ledger.now = 1_020;
  return ledger;
}
/** Of a chain whose newest three blocks are not confirmed. */
const read = (ledger: Ledger, block?: ComputeEpochInput["block"], confirmations = 3) =>
  computeEpoch(
    { ...ledger.modules, reader: { ...ledger.modules.reader, confirmations } },
    { modelId, epoch: 1, verdicts: [], ...(block && { block }) },
  );

describe("the block of an attestation", () => {
  it("is the newest confirmed one where nobody has said another", async () => {
    const ledger = withOneHead();
    await expect(read(ledger)).resolves.toMatchObject({
      computation: { attestation: { blockNumber: 1_017n, blockHash: ledger.blockHash(1_017) } },
    });
  });

  it("is the one that was said, if it is there", async () => {
    const ledger = withOneHead();
    const said = { number: 1_009, hash: ledger.blockHash(1_009)! };
    await expect(read(ledger, said)).resolves.toMatchObject({
      computation: { attestation: { blockNumber: 1_009n, blockHash: said.hash } },
    });
    const other = { ...said, hash: ledger.blockHash(1_010)! };
    await expect(read(ledger, other)).rejects.toMatchObject({ code: "BLOCK_REFUSED", retryable: false });
  });

  it("is waited for until it is confirmed", async () => {
    const ledger = withOneHead();
    const said = { number: 1_018, hash: ledger.blockHash(1_018)! };
    await expect(read(ledger, said)).rejects.toMatchObject({ code: "BLOCK_NOT_FINAL", retryable: true });
    ledger.now = 1_021;
    await expect(read(ledger, said)).resolves.toMatchObject({ kind: "computed" });
  });

  it("holds every head that is paid for", async () => {
    const ledger = withOneHead();
    const said = { number: 1_004, hash: ledger.blockHash(1_004)! };
    await expect(read(ledger, said)).rejects.toMatchObject({ code: "BLOCK_REFUSED" });
  });

  it("leaves out nobody's work of a root that was posted, however low it is", async () => {
    const ledger = withOneHead();
    ledger.add({ anchoredAt: 1_010, receipts: [{ account: b, tokens: 1n }] });
    const made = await read(ledger);
    if (made.kind !== "computed") throw new Error("both have earned something");
    const { attestation, rewards } = made.computation;
    expect(rewards.leaves).toHaveLength(2);
    const digest = digestOfJson("pending");
    for (const blockNumber of [0n, 1_007n, attestation.blockNumber, 10n ** 9n]) {
      const posted = { digest, attestation: { ...attestation, blockNumber }, activatableAt: 1_100 };
      const { index, root, total, deadline } = attestation;
      const times = { fromEpoch: 1, epoch: 1, deadline: Number(deadline) };
      ledger.pending = { ...posted, ...times, index: Number(index), root, total };
      const found = await computeEpoch(ledger.modules, { modelId, epoch: 1, verdicts: [], posted });
      expect(found).toMatchObject({ computation: { rewards, attestation: { root: attestation.root } } });
    }
  });

  it("stays the same until all is computed", async () => {
    const ledger = withOneHead();
    let looks = 0;
    const blockHash = async (block: number) => ledger.blockHash(looks++ === 0 ? block : block + 1);
    const reader = { ...ledger.modules.reader, blockHash };
    const computed = computeEpoch({ ...ledger.modules, reader }, { modelId, epoch: 1, verdicts: [] });
    await expect(computed).rejects.toMatchObject({ code: "CHAIN_MOVED", retryable: true });
  });
});

/** A round of the first epoch, which the run goes back behind later. */
function wentBack(at: number, now: number): Ledger {
  const ledger = createLedger();
  ledger.add({ anchoredAt: 1_001, receipts: [] });
  ledger.add({ anchoredAt: 1_002, receipts: [{ account: a, tokens: 1n }] });
  ledger.add({ anchoredAt: at, round: 0, receipts: [] });
  ledger.now = now;
  return ledger;
}
const blockOf = (ledger: Ledger, number: number) => ({ number, hash: ledger.blockHash(number)! });

/** What a root that was posted pays, by its name and its deadline, and when it was posted. */
async function due(ledger: Ledger, blockNumber: bigint, deadline: bigint, postedAt: number) {
  const honest = createLedger();
  honest.add({ anchoredAt: 1_001, receipts: [] });
  honest.add({ anchoredAt: 1_002, receipts: [{ account: a, tokens: 1n }] });
  honest.now = 1_020;
  const made = await read(honest);
  if (made.kind !== "computed") throw new Error("a has earned something");
  const attestation = { ...made.computation.attestation, blockNumber, deadline };
  const digest = digestOfJson("pending");
  const { index, root, total } = attestation;
  const activatableAt = postedAt + ledger.schedule.window;
  const posted = { digest, attestation, activatableAt };
  const times = { fromEpoch: 1, epoch: 1, deadline: Number(deadline) };
  ledger.pending = { ...posted, ...times, index: Number(index), root, total };
  const found = await computeEpoch(ledger.modules, { modelId, epoch: 1, verdicts: [], posted });
  return found.kind;
}

describe("a block of long ago, named by who pays for what the run went back behind since", () => {
  it("is not signed, six posting delays before the deadline; who comes late names a new one", async () => {
    // The deadline is 1,208, and six delays before it are 1,136.
    const late = wentBack(1_136, 1_200);
    await expect(read(late, blockOf(late, 1_135))).rejects.toMatchObject({ code: "BLOCK_REFUSED", retryable: false });
    await expect(read(late, blockOf(late, 1_136))).resolves.toMatchObject({ kind: "nothing" });
    await expect(read(late)).resolves.toMatchObject({ kind: "nothing" });
    const recent = wentBack(1_137, 1_200);
    await expect(read(recent, blockOf(recent, 1_135))).resolves.toMatchObject({ kind: "computed" });
  });

  it("does not make a root right that was posted", async () => {
    expect(await due(wentBack(1_136, 1_300), 1_016n, 1_208n, 1_200)).toBe("nothing");
    expect(await due(wentBack(1_137, 1_300), 1_016n, 1_208n, 1_200)).toBe("computed");
  });

  it("nor does a deadline far ahead make one wrong for what came after its posting", async () => {
    expect(await due(wentBack(1_200, 1_300), 1_016n, 10n ** 9n, 1_200)).toBe("nothing");
    expect(await due(wentBack(1_201, 1_300), 1_016n, 10n ** 9n, 1_200)).toBe("computed");
  });
});

it("the age of a budget is judged as at the posting of a root that failed, unless the deadline is earlier", async () => {
  const ledger = withOneHead();
  const judged: number[] = [];
  const computeBudget = async (_model: string, _epoch: number, asOf: number) => (judged.push(asOf), 1_000n);
  const reader = { ...ledger.modules.reader, computeBudget };
  for (const at of [undefined, 1_019, 2_000]) {
    ledger.ageJudgedAt = at;
    await computeEpoch({ ...ledger.modules, reader }, { modelId, epoch: 1, verdicts: [], deadline: 1_028 });
  }
  expect(judged).toEqual([1_028, 1_019, 1_028]);
});
