/** Which of the others' draws a validator looks at before it signs, and how much they can make it do. */
import {
  type Address,
  asHead,
  asRunId,
  type Digest,
  digestOfJson,
  domainFor,
  type EpochHead,
  type EpochInputs,
  fromWire,
  type SignedVerdict,
  typedDataOf,
  verdictKind,
  type VerdictsFile,
} from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { createManualClock } from "../manualClock.ts";
import { createClaims } from "../../../offchain/src/validator/claims.ts";
import { boundClaims, type Claim, CLAIMS_PER_MEMBER, claimsOf } from "../../../offchain/src/validator/index.ts";
import { contracts } from "../run/ledger.ts";
import { validators } from "../chain/world.ts";

const lower = (account: { readonly address: string }): Address => account.address.toLowerCase() as Address;
const [me, other, third] = validators.map((account) => lower(account)) as [Address, Address, Address];
const nobody: Address = `0x${"0".repeat(40)}`;
const modelId = digestOfJson("model");

const headAt = (sequence: number): EpochHead => ({
  runId: digestOfJson("run"),
  head: asHead(digestOfJson({ sequence })),
  sequence,
  round: sequence,
  paramsVersion: 1,
  checkpointDigest: digestOfJson("checkpoint"),
  receiptsRoot: digestOfJson("receipts"),
  anchoredAt: 1_000,
  minParamsVersion: 1,
});
const said = (sequence: number, validator: Address, value: string, confirms?: Address): SignedVerdict => {
  const { runId, head } = headAt(sequence);
  return {
    verdict: {
      runId,
      round: String(sequence - 1),
      head,
      validator,
      kind: confirms ? verdictKind.confirmation : verdictKind.aggregate,
      worker: confirms ?? nobody,
      index: 0,
      value,
      evidence: digestOfJson("evidence"),
      issuedAt: "1",
    },
    signature: `0x${"00".repeat(65)}`,
  };
};
const rank = (head: EpochHead): bigint => BigInt(head.head);
/** Of checkpoints 0 to `last`. */
function claims(last: number, ...verdicts: SignedVerdict[]): [number, Address, Address, boolean][] {
  const heads = Array.from({ length: last + 1 }, (_, sequence) => headAt(sequence));
  const inputs: EpochInputs = { version: 1, modelId, epochs: [{ epoch: 1, budget: "1", heads, contributions: [] }] };
  const file: VerdictsFile = { version: 1, modelId, verdicts };
  return claimsOf({ inputs, verdicts: file }, [me, other, third], me).map(({ head, by, drawer, denied }) => [
    head.sequence,
    by,
    drawer,
    denied,
  ]);
}

describe("the draws of others that a validator looks at", () => {
  it("are of those who say 0 and of those who say nothing, not of those who found that it holds", () => {
    expect(claims(1, said(1, me, "10000"), said(1, other, "0"))).toEqual([
      [1, other, other, true],
      [1, third, third, false],
    ]);
    expect(claims(1, said(1, me, "10000"), said(1, other, "10000"), said(1, third, "10000"))).toEqual([]);
  });

  it("are none of checkpoint 0, nor of a head that earns nothing as it stands", () => {
    expect(claims(0)).toEqual([]);
    expect(claims(1, said(1, me, "0"), said(1, other, "0"), said(1, third, "10000"))).toEqual([]);
  });

  it("are what is confirmed to be forged though its validator says that it holds, one of each who confirms", () => {
    const holds = [said(1, me, "10000"), said(1, other, "10000"), said(1, third, "10000")];
    expect(claims(1, ...holds, said(1, third, "0", other))).toEqual([[1, third, other, true]]);
    // What it drew itself it has looked at.
    expect(claims(1, ...holds, said(1, third, "0", me))).toEqual([]);
    expect(claims(1, ...holds, said(1, third, "0", me), said(1, third, "0", other))).toEqual([[1, third, other, true]]);
    // One who denies what it drew has its own draw looked at alone.
    expect(
      claims(1, said(1, me, "10000"), said(1, other, "10000"), said(1, third, "0"), said(1, third, "0", other)),
    ).toEqual([[1, third, third, true]]);
  });

  it("are bounded for each validator, whatever it denies, those that are denied first and then by sortition", () => {
    const many: Claim[] = Array.from({ length: 3 * CLAIMS_PER_MEMBER }, (_, i) => ({
      head: headAt(i + 1),
      by: other,
      drawer: other,
      denied: i % 3 === 0 && i < 300,
    }));
    const few: Claim[] = [{ head: headAt(1), by: third, drawer: third, denied: false }];
    const kept = boundClaims([...many, ...few], rank);
    expect(kept.filter(({ by }) => by === other)).toHaveLength(CLAIMS_PER_MEMBER);
    expect(kept.filter(({ denied }) => denied)).toHaveLength(100);
    expect(kept).toContain(few[0]);
    const silent = (list: readonly Claim[]): bigint[] =>
      list.filter(({ by, denied }) => by === other && !denied).map(({ head }) => rank(head));
    const highest = silent(kept).reduce((most, value) => (value > most ? value : most), 0n);
    expect(silent(many).filter((value) => value <= highest)).toHaveLength(CLAIMS_PER_MEMBER - 100);
  });
});

describe("a claim", () => {
  const claim: Claim = { head: headAt(1), by: other, drawer: other, denied: false };
  const draw = { fragment: 0, gate: false };
  const chainId = 31_337;
  const shown: SignedVerdict[] = [];
  /** @param gates whether losses are measured, and every draw has those of its gate to measure */
  const opened = (gates = false) => {
    const examined: Claim[] = [];
    const clock = createManualClock();
    const created = createClaims({
      reader: { chainId, contracts },
      clock,
      patience: 1_000,
      measures: gates,
      verdicts: async () => shown,
      sortitionOf: async () => ({ seedOf: () => 0n, fragmentOf: () => 0, auditsGate: () => gates }),
      examine: async (each) => void examined.push(each),
    });
    return { open: created, clock, examined };
  };
  const signed = async (runId: Digest, signer = validators[1]!): Promise<SignedVerdict> => {
    const { verdict } = said(1, other, "10000");
    const struct = { ...fromWire("Verdict", verdict), runId: asRunId(runId) };
    const signature = await signer.signTypedData(
      typedDataOf(domainFor(chainId, contracts.runRegistry), "Verdict", struct),
    );
    return { verdict: { ...verdict, runId: struct.runId }, signature };
  };

  it("is settled by what its validator says of this run's head, and by nothing that it signed for another run", async () => {
    const { open } = opened();
    shown.splice(0, 1, await signed(digestOfJson("another run")));
    expect(await open.settle([claim])).toEqual([claim]);
    shown.splice(0, 1, await signed(digestOfJson("run")));
    expect(await open.settle([claim])).toEqual([]);
    shown.splice(0);
  });

  it("is not settled by what another signed in the name of its validator", async () => {
    const { open } = opened();
    shown.splice(0, 1, await signed(digestOfJson("run"), validators[2]));
    expect(await open.settle([claim])).toEqual([claim]);
    shown.splice(0);
  });

  it("is open while its fragment is found to hold and the losses of its gate are not", async () => {
    const { open } = opened(true);
    open.found(claim.head.head, draw);
    expect(await open.settle([claim])).toEqual([claim]);
    open.found(claim.head.head, { ...draw, gate: true });
    expect(await open.settle([claim])).toEqual([]);
  });

  it("is looked at when its validator was silent for long enough, and what is known of it goes with its head", async () => {
    const { open, clock, examined } = opened();
    expect(await open.settle([claim])).toEqual([claim]);
    await clock.advance(1_000);
    await open.settle([claim]);
    expect(examined).toEqual([claim]);
    open.found(claim.head.head, draw);
    open.keep(new Set([claim.head.head]));
    expect(await open.settle([claim])).toEqual([]);
    open.keep(new Set());
    // As at first: what was found is forgotten, and so is since when its validator is silent.
    expect(await open.settle([claim])).toEqual([claim]);
    expect(examined).toHaveLength(1);
  });
});
