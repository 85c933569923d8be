/** Whether an epoch is signed in which a head is rejected, by whose voices: on a chain in memory. */
import {
  type Address,
  canonicalJson,
  digestOfJson,
  domainFor,
  sha256,
  toWire,
  typedDataOf,
  type Verdict,
  verdictKind,
} from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import { type PostedHead } from "../../../offchain/src/chain/index.ts";
import { computeEpoch, drawnBy, type Sortition, sortitionOf } from "../../../offchain/src/run/index.ts";
import { type AttestModules, decide, type Decision } from "../../../offchain/src/validator/attest.ts";
import { CLAIMS_PER_MEMBER } from "../../../offchain/src/validator/index.ts";
import { accounts, contracts, createLedger, type Ledger, modelId, runs } from "../run/ledger.ts";
import { accountOf, validators } from "../chain/world.ts";

type Account = (typeof validators)[number];
const [liar, honest, third] = validators as [Account, Account, Account];
const others = ["4", "5", "6", "7"].map((name) => accountOf(`validator-${name}`));
const lower = ({ address }: Account): Address => address.toLowerCase() as Address;
const domain = domainFor(31_337, contracts.runRegistry);

async function verdictOf(ledger: Ledger, who: Account, head: PostedHead, value: bigint) {
  const struct: Verdict = {
    runId: head.runId,
    round: BigInt(head.round - 1),
    head: head.head,
    validator: lower(who),
    kind: verdictKind.aggregate,
    worker: `0x${"0".repeat(40)}`,
    index: (await drawnBy(ledger.modules.reader, head, lower(who), 4))!,
    value,
    evidence: digestOfJson("nothing"),
    issuedAt: 1n,
  };
  const signature = await who.signTypedData(typedDataOf(domain, "Verdict", struct));
  return { key: head.head, struct: toWire("Verdict", struct), signature };
}
type Said = Awaited<ReturnType<typeof verdictOf>>;

const paid = (account: Address) => ({ account, tokens: 100n });

interface More {
  /** What the honest one found the last head to be. */
  readonly found?: bigint;
  readonly members?: readonly Account[];
  /** What the honest one said besides. */
  readonly besides?: (ledger: Ledger, last: PostedHead) => Promise<Said>;
  /** Heads before these two. */
  readonly heads?: number;
  /** Under which the coordinator shows it, where that is not its own. */
  readonly epoch?: number;
  /** What nobody can judge, so that the honest one says nothing of its last head. */
  readonly isUnfit?: boolean;
}

const sortitionIn = (ledger: Ledger, head: string): Promise<Sortition | undefined> => {
  const posted = ledger.heads.find((each) => each.head === head)!;
  return sortitionOf(ledger.modules.reader, posted, { fragments: 4, oneIn: 8 });
};

/** What the honest one, which found all heads to hold, makes of an epoch that counts these verdicts. */
async function decided(
  counted: (ledger: Ledger, heads: [PostedHead, PostedHead]) => Promise<Said[]>,
  { members = validators, besides, heads = 0, found = 10_000n, epoch = 1, isUnfit }: More = {},
): Promise<{ decision: Decision; ledger: Ledger }> {
  const ledger = createLedger();
  ledger.validators = members.map(lower).toSorted();
  ledger.add({ anchoredAt: 1_000, receipts: [] });
  for (let n = 0; n < heads; n++) ledger.add({ anchoredAt: 1_002, receipts: accounts.slice(0, 1).map(paid) });
  const early = ledger.add({ anchoredAt: 1_003, receipts: accounts.slice(0, 1).map(paid) });
  const last = ledger.add({ anchoredAt: 1_015, receipts: accounts.slice(1).map(paid) });
  ledger.now = 1_017;
  const verdicts = (await counted(ledger, [early, last])).map(({ struct, signature }) => ({
    verdict: struct,
    signature,
  }));
  const result = await computeEpoch(ledger.modules, { modelId, epoch: 1, verdicts });
  if (result.kind === "nothing") throw new Error(result.reason);
  const { manifest, attestation, ...documents } = result.computation;
  const published = new Map<string, Uint8Array>();
  for (const document of [manifest, documents.inputs, documents.verdicts, documents.rewards]) {
    const bytes = new TextEncoder().encode(canonicalJson(document));
    published.set(sha256(bytes), bytes);
  }
  const own = new Map<string, Said[]>();
  for (const head of ledger.heads.slice(1)) {
    const value = head.head === last.head ? found : 10_000n;
    own.set(head.head, [await verdictOf(ledger, honest, head, value)]);
  }
  if (isUnfit !== undefined) own.delete(last.head);
  if (besides) own.get(last.head)?.push(await besides(ledger, last));
  const modules: AttestModules = {
    ...ledger.modules,
    blobs: { blob: async (_run, digest) => published.get(digest)! },
    validator: lower(honest),
    verdictsAbout: async (head) => own.get(head) ?? [],
    drawn: (head) => own.get(head)?.[0]?.struct.index,
    sortitionOf: ({ head }) => sortitionIn(ledger, head),
    isUnfit: async () => isUnfit === true,
  };
  const decision = await decide(modules, modelId, runs[0], {
    epoch,
    manifest: attestation.epochDigest,
    attestation: toWire("Attestation", attestation),
    signatures: [],
    state: "collecting",
    transaction: null,
  });
  return { decision, ledger };
}
const ofEach = (ledger: Ledger, head: PostedHead, who: Account[], value: bigint): Promise<Said[]> =>
  Promise.all(who.map((each) => verdictOf(ledger, each, head, value)));
const all = (ledger: Ledger, head: PostedHead, ...values: bigint[]): Promise<Said[]> =>
  Promise.all(values.map((value, i) => verdictOf(ledger, [liar, honest, third][i]!, head, value)));

it("an epoch in which a lone 0 rejects what this validator found to hold is not signed", async () => {
  const { decision } = await decided(async (ledger, [early, last]) => [
    ...(await all(ledger, early, 10_000n, 10_000n, 10_000n)),
    ...(await all(ledger, last, 0n)),
  ]);
  expect(decision).toMatchObject({ kind: "refuse", reason: expect.stringContaining("checkpoint 2 for not holding") });
});

it("one in which a minority rejects it, since others that found it to hold are left out, is not signed", async () => {
  const members = [...validators, ...others];
  const liars = [liar, ...others.slice(0, 2)];
  const heard = [honest, third];
  const withVoicesOf =
    (more: Account[]) =>
    async (ledger: Ledger, [early, last]: [PostedHead, PostedHead]) => [
      ...(await ofEach(ledger, early, members, 10_000n)),
      ...(await ofEach(ledger, last, [...liars, ...more], 0n)),
      ...(await ofEach(ledger, last, heard, 10_000n)),
    ];
  expect((await decided(withVoicesOf([]), { members })).decision).toMatchObject({
    kind: "refuse",
    reason: expect.stringContaining("by the voices of 3 of 7 validators"),
  });
  expect((await decided(withVoicesOf(others.slice(2, 3)), { members })).decision).toMatchObject({ kind: "sign" });
});

it("one in which more than half reject it, this validator's voice counted, is signed", async () => {
  const { decision } = await decided(async (ledger, [early, last]) => [
    ...(await all(ledger, early, 10_000n, 10_000n, 10_000n)),
    ...(await all(ledger, last, 0n, 10_000n, 0n)),
  ]);
  expect(decision).toMatchObject({ kind: "sign", claims: [] });
});

it("one in which it is paid although this validator, heard and outvoted, found it not to hold is not signed", async () => {
  const { decision, ledger } = await decided(
    async (on, [early, last]) => [
      ...(await all(on, early, 10_000n, 10_000n, 10_000n)),
      ...(await all(on, last, 10_000n, 0n, 10_000n)),
    ],
    { found: 0n },
  );
  expect(decision).toEqual({
    kind: "refuse",
    reason: `It pays for checkpoint 2, which this validator found not to hold, head ${ledger.heads.at(-1)!.head}.`,
  });
});

it("one in which it is paid although this validator's voice came too late is signed", async () => {
  const { decision } = await decided(async (ledger, [early, last]) => [
    ...(await all(ledger, early, 10_000n, 10_000n, 10_000n)),
    ...(await all(ledger, last, 10_000n)),
  ]);
  expect(decision).toMatchObject({ kind: "sign" });
});

it("one that is shown under another's number is refused before anything is computed", async () => {
  const { decision } = await decided(async () => [], { epoch: 2 });
  expect(decision).toEqual({ kind: "refuse", reason: "It is of another epoch." });
});

it.each([
  ["that its worker drew must be counted", third, 0, "It leaves out the verdict of this validator"],
  ["that its worker draws no more need not be counted", third, 1, "signed"],
  ["of one outside the set need not be counted", others[0]!, 0, "signed"],
] as const)("its own confirmation about a fragment %s", async (_name, drawer, shift, expected) => {
  const { decision } = await decided(
    async (ledger, [early, last]) => [
      ...(await all(ledger, early, 10_000n, 10_000n, 10_000n)),
      ...(await all(ledger, last, 10_000n, 10_000n, 10_000n)),
    ],
    {
      besides: async (ledger, last) => {
        const { key, struct, signature } = await verdictOf(ledger, honest, last, 0n);
        const drawn = (await sortitionIn(ledger, last.head))!.fragmentOf(lower(drawer));
        const said = { kind: verdictKind.confirmation, worker: lower(drawer), index: (drawn + shift) % 4 };
        return { key, struct: { ...struct, ...said }, signature };
      },
    },
  );
  expect(decision.kind === "refuse" ? decision.reason : `${decision.kind}ed`).toContain(expected);
});

it("what of one validator is too much to look at is chosen by the draw of the one who looks", async () => {
  const { decision, ledger } = await decided(async () => [], { heads: CLAIMS_PER_MEMBER + 40 });
  if (decision.kind !== "sign") throw new Error(decision.kind);
  const ranked = await Promise.all(
    ledger.heads.slice(1).map(async ({ head }) => ({
      head,
      seed: (await sortitionIn(ledger, head))!.seedOf(lower(honest)),
    })),
  );
  const due = ranked.toSorted((a, b) => (a.seed < b.seed ? -1 : 1)).slice(0, CLAIMS_PER_MEMBER);
  for (const each of [liar, third]) {
    const claimed = decision.claims.filter(({ by }) => by === lower(each)).map(({ head }) => head.head);
    expect(claimed.toSorted()).toEqual(due.map(({ head }) => head).toSorted());
  }
});

it.each([
  ["signed where nobody can judge it and a lone 0 rejects it", true, { kind: "sign" }],
  ["waited with where this validator can", false, { kind: "wait", unjudged: [{ round: 2 }] }],
])("one with a head that this validator said nothing of is %s", async (_, isUnfit, expected) => {
  const { decision } = await decided(
    async (ledger, [early, last]) => [
      ...(await all(ledger, early, 10_000n, 10_000n, 10_000n)),
      ...(await all(ledger, last, 0n)),
    ],
    { isUnfit },
  );
  expect(decision).toMatchObject(expected);
});
