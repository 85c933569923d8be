/**
 * What others drew of the heads that an epoch pays, where they say that it does not hold, or say nothing. Who is to sign looks
 * at it in their place: else a coordinator need only fool, or starve of blobs, the one who drew it.
 *
 * Sortition bounds what anybody can make others do: of one validator no more than its own draw of a head is looked at, or one
 * draw that it accuses, and of one epoch no more than `CLAIMS_PER_MEMBER` of them.
 */
import {
  type Address,
  aggregateRejected,
  domainFor,
  type EpochHead,
  fromWire,
  recoverSigner,
  type SignedVerdict,
  verdictKind,
} from "@cotrain/sdk/protocol";

import type { Clock } from "../base/index.ts";
import type { ChainReader } from "../chain/index.ts";
import type { EpochComputation, Sortition } from "../run/index.ts";

/** Of one validator and epoch; of more the draw of the one who looks decides, what is denied first. */
export const CLAIMS_PER_MEMBER = 256;

export interface Claim {
  readonly head: EpochHead;
  /** Who says that it does not hold, or says nothing. */
  readonly by: Address;
  /** Whose draw it is. */
  readonly drawer: Address;
  /** False while `by` says nothing. */
  readonly denied: boolean;
}

/**
 * One claim at most of each member about each head: its own draw if it denies that or has not spoken, one that it confirms to be
 * forged otherwise. Heads that earn nothing under these verdicts, and checkpoint 0, have none.
 */
export function claimsOf(
  { inputs, verdicts: { verdicts } }: Pick<EpochComputation, "inputs" | "verdicts">,
  members: readonly Address[],
  self: Address,
): Claim[] {
  const said = new Map<string, SignedVerdict["verdict"][]>();
  const of = (head: string, by: string) => said.get(`${head}/${by}`) ?? [];
  for (const { verdict } of verdicts)
    said.set(`${verdict.head}/${verdict.validator}`, [...of(verdict.head, verdict.validator), verdict]);
  const parsed = verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  const claims: Claim[] = [];
  for (const head of inputs.epochs.flatMap(({ heads }) => heads)) {
    if (head.sequence === 0 || aggregateRejected(head.head, parsed)) continue;
    for (const by of members) {
      if (by === self) continue;
      const own = of(head.head, by).find(({ kind }) => kind === verdictKind.aggregate);
      // Of what this validator drew itself it has had its say.
      const confirmed = of(head.head, by).find(
        ({ kind, worker }) => kind === verdictKind.confirmation && worker !== self,
      );
      if (own?.value === "0") claims.push({ head, by, drawer: by, denied: true });
      else if (confirmed) claims.push({ head, by, drawer: confirmed.worker, denied: true });
      else if (!own) claims.push({ head, by, drawer: by, denied: false });
    }
  }
  return claims;
}

/** @param rank of a head for the one who looks: nobody can foresee it */
export function boundClaims(claims: readonly Claim[], rank: (head: EpochHead) => bigint): Claim[] {
  const kept: Claim[] = [];
  for (const by of new Set(claims.map((claim) => claim.by))) {
    const ofOne = claims.filter((claim) => claim.by === by);
    if (ofOne.length > CLAIMS_PER_MEMBER) {
      const order = (a: Claim, b: Claim): number =>
        Number(b.denied) - Number(a.denied) || (rank(a.head) < rank(b.head) ? -1 : 1);
      ofOne.sort(order).splice(CLAIMS_PER_MEMBER);
    }
    kept.push(...ofOne);
  }
  return kept;
}

/** What is to be looked at of a head. */
export interface Draw {
  readonly fragment: number;
  /** The losses of its gate too. */
  readonly gate: boolean;
}

export interface ClaimModules {
  readonly reader: Pick<ChainReader, "chainId" | "contracts">;
  readonly clock: Clock;
  /** Ms that a silent validator is waited for. */
  readonly patience: number;
  /** Whether this validator measures losses. */
  readonly measures: boolean;
  /** Verdicts that the coordinator shows, counted or not. */
  readonly verdicts: () => Promise<readonly SignedVerdict[]>;
  readonly sortitionOf: (head: EpochHead) => Promise<Sortition | undefined>;
  /** Looks, now or as soon as the engine is free; what it finds it tells by `found`. May throw what says that it found nothing. */
  readonly examine: (claim: Claim, draw: Draw) => Promise<void>;
}

export interface Claims {
  /** What was found to hold, in whosever place. */
  found(head: string, draw: Draw): void;
  /**
   * Looks at what is due of these.
   * @returns those that are neither vouched for by their validator nor found to hold by this one
   */
  settle(claims: readonly Claim[]): Promise<readonly Claim[]>;
  /** Forgets all heads but these. */
  keep(heads: Pick<ReadonlySet<string>, "has">): void;
}

/** Verdicts about drawn fragments, by head, validator and fragment. */
function byDraw(verdicts: readonly SignedVerdict[]): ReadonlyMap<string, SignedVerdict> {
  const ofDraws = verdicts.filter(({ verdict }) => verdict.kind === verdictKind.aggregate);
  return new Map(
    ofDraws.map((signed) => [`${signed.verdict.head}/${signed.verdict.validator}/${signed.verdict.index}`, signed]),
  );
}

/** What a validator said about its draw, counted or not, signed by itself. */
async function valueOf(
  { reader }: ClaimModules,
  shown: ReadonlyMap<string, SignedVerdict>,
  { head, by }: Claim,
  fragment: number,
): Promise<bigint | undefined> {
  const signed = shown.get(`${head.head}/${by}/${fragment}`);
  if (!signed) return undefined;
  const struct = fromWire("Verdict", signed.verdict);
  const domain = domainFor(reader.chainId, reader.contracts.runRegistry);
  const signer = await recoverSigner(domain, "Verdict", struct, signed.signature).catch(() => undefined);
  return signer === by && struct.runId === head.runId ? struct.value : undefined;
}

export function createClaims(modules: ClaimModules): Claims {
  const { clock, sortitionOf } = modules;
  /** Fragments, and "gate", that hold, by head. */
  const sound = new Map<string, Set<number | "gate">>();
  /** When a validator was first missed, by head and validator. */
  const missedSince = new Map<string, Map<Address, number>>();
  const holds = (head: string, { fragment, gate }: Draw): boolean =>
    sound.get(head)?.has(fragment) === true && (!gate || sound.get(head)?.has("gate") === true);

  function isDue({ head: { head }, by }: Claim): boolean {
    const ofHead = missedSince.get(head) ?? new Map<Address, number>();
    missedSince.set(head, ofHead);
    const since = ofHead.get(by) ?? clock.monotonic();
    ofHead.set(by, since);
    return clock.monotonic() - since >= modules.patience;
  }

  return {
    found: (head, { fragment, gate }) => {
      const known = sound.get(head) ?? new Set();
      sound.set(head, known.add(fragment));
      if (gate) known.add("gate");
    },
    settle: async (claims) => {
      const shown = byDraw(claims.some(({ denied }) => !denied) ? await modules.verdicts() : []);
      const open: Claim[] = [];
      for (const claim of claims) {
        const sortition = await sortitionOf(claim.head);
        if (!sortition) {
          open.push(claim);
          continue;
        }
        const draw = {
          fragment: sortition.fragmentOf(claim.drawer),
          gate: modules.measures && sortition.auditsGate(claim.drawer),
        };
        const value = claim.denied ? 0n : await valueOf(modules, shown, claim, draw.fragment);
        if (value === 10_000n || holds(claim.head.head, draw)) continue;
        if (value === 0n || isDue(claim)) await modules.examine(claim, draw);
        if (!holds(claim.head.head, draw)) open.push(claim);
      }
      return open;
    },
    keep: (heads) => {
      for (const known of [sound, missedSince])
        for (const head of known.keys()) if (!heads.has(head)) known.delete(head);
    },
  };
}
