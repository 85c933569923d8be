/**
 * Finds what validators signed and lose stake for once anybody reports it: two statements that contradict each other, roots that
 * holders voided, and rulings that they vetoed. Statements come from strangers: of one that nobody signed nothing follows, and all that is remembered has bounds.
 */
import type { Address, SignedVerdict } from "@cotrain/sdk/protocol";
import { asAddress, isVoice } from "@cotrain/sdk/protocol";

import { formatAddress } from "../base/index.ts";
import { isRevert } from "../chain/index.ts";
import {
  type Contradiction,
  contradictionText,
  lossForContradiction,
  nameOfContradiction,
  type ProvenContradiction,
  signerOf,
  type StatementsPlace,
  verdictsContradict,
  verdictSubject,
} from "./contradictions.ts";
import { lossFor, nameOfRefused, offencesInRoots, type OffencesPlace, refusedText, vetoedRulings } from "./offences.ts";

/** Verdicts that are remembered, the newest: some thousand heads of a set of sixteen. */
const MOST_HEARD = 16_384;
/** Pairs whose signatures are looked at in one look: each takes a millisecond or two. */
const MOST_CHECKED = 64;
/** Contradictions that are told of one validator. */
const MOST_OF_ONE = 16;

/** What a report would take; undefined where it takes nothing, and "over" where nothing more. Who signs nonsense must end no watch. */
async function taken(asking: ReturnType<typeof lossFor>): Promise<bigint | "over" | undefined> {
  try {
    const loss = await asking;
    if (loss === "punished") return "over";
    return loss === "nothing" ? 0n : loss;
  } catch (error) {
    if (isRevert(error)) return undefined;
    throw error;
  }
}

/** What a validator signed and would lose stake for. */
export interface ToldOffence {
  readonly kind: Contradiction["kind"] | "voided" | "vetoed";
  /** What names it, whoever finds it. */
  readonly name: string;
  readonly validator: Address;
  /** What it did, in half a sentence. */
  readonly words: string;
  /** What it would lose, wei. */
  readonly amount: bigint;
  /** Where both statements are written down; null of what holders refused, which stands on the chain. */
  readonly file: string | null;
}

/** Hears verdicts of many sources and looks which of them contradict each other. */
export function createVerdictEar(place: StatementsPlace, most = MOST_HEARD) {
  const heard = new Map<string, SignedVerdict>();
  const found = new Map<string, ProvenContradiction>();
  const isBy = async (signed: SignedVerdict): Promise<boolean> =>
    (await signerOf(place, signed).catch(() => undefined)) === signed.verdict.validator;

  function remember(subject: string, signed: SignedVerdict): void {
    heard.set(subject, signed);
    const [oldest] = heard.keys();
    if (heard.size > most && oldest !== undefined) heard.delete(oldest);
  }

  function note(pair: readonly [SignedVerdict, SignedVerdict]): void {
    const contradiction = { kind: "verdicts", pair } as const;
    const signer = asAddress(pair[0].verdict.validator);
    const ofOne = [...found.values()].filter((each) => each.signer === signer).length;
    if (ofOne < MOST_OF_ONE) found.set(nameOfContradiction(contradiction, signer), { contradiction, signer });
  }

  return {
    /** @param members whose verdicts count: a stranger's prove nothing that costs anybody anything */
    hear: async (verdicts: readonly SignedVerdict[], members: readonly Address[]): Promise<void> => {
      let checked = 0;
      for (const signed of verdicts) {
        const { verdict } = signed;
        if (!isVoice(verdict.kind) || !members.includes(asAddress(verdict.validator))) continue;
        const subject = verdictSubject(verdict);
        const before = heard.get(subject);
        if (!before) remember(subject, signed);
        if (!before || !verdictsContradict(before.verdict, verdict) || checked >= MOST_CHECKED) continue;
        checked += 1;
        // Whoever shows what nobody signed first must not hide what somebody did.
        const [isFirst, isSecond] = [await isBy(before), await isBy(signed)];
        if (isFirst && isSecond) note([before, signed]);
        else if (isSecond) remember(subject, signed);
        else if (!isFirst) heard.delete(subject);
      }
    },
    found: (): ReadonlyMap<string, ProvenContradiction> => found,
  };
}

export interface OffenceModules {
  readonly stakes: Address;
  /** Validators in force, and those of sets before: whoever was replaced has stake that waits for what it signed. */
  readonly members: () => Promise<{ readonly inForce: readonly Address[]; readonly before: readonly Address[] }>;
  /** Lists of verdicts that others show now. */
  readonly heard: () => Promise<readonly (readonly SignedVerdict[])[]>;
  /** Writes both statements down, and answers where. */
  readonly write: (name: string, contradiction: Contradiction) => Promise<string>;
}

/** Looks for offences that nobody has reported yet. */
export function createOffenceWatch(place: OffencesPlace, { stakes, members, heard, write }: OffenceModules) {
  const where = { chainId: place.connection.chainId, contracts: place.addresses };
  const ear = createVerdictEar(where);
  const files = new Map<string, string>();
  /** Punished once is punished for ever. */
  const over = new Set<string>();

  async function toldOf(
    name: string,
    proven: ProvenContradiction,
    inForce: readonly Address[],
  ): Promise<ToldOffence | undefined> {
    const { contradiction, signer: validator } = proven;
    const amount = await taken(lossForContradiction(place, stakes, proven));
    if (amount === "over") over.add(name);
    if (typeof amount !== "bigint") return undefined;
    // What somebody says who was replaced and has nothing at stake is nobody's matter: it would end every watch with 1.
    if (amount === 0n && contradiction.kind === "verdicts" && !inForce.includes(validator)) return undefined;
    const file = files.get(name) ?? (await write(name, contradiction));
    files.set(name, file);
    const { kind } = contradiction;
    return { kind, name, validator, words: contradictionText(contradiction), amount, file };
  }

  return {
    look: async (): Promise<readonly ToldOffence[]> => {
      const { inForce, before } = await members();
      for (const verdicts of await heard()) await ear.hear(verdicts, [...inForce, ...before]);
      const { voided, contradicting } = await offencesInRoots(place);
      const told: ToldOffence[] = [];
      const proven = new Map(ear.found());
      for (const each of contradicting) proven.set(nameOfContradiction(each.contradiction, each.signer), each);
      for (const [name, each] of proven) {
        const offence = over.has(name) ? undefined : await toldOf(name, each, inForce);
        if (offence) told.push(offence);
      }
      for (const refused of [...voided, ...(await vetoedRulings(place, stakes))])
        for (const signed of refused.signatures) {
          const [validator] = signed;
          const name = nameOfRefused(refused, validator);
          if (over.has(name)) continue;
          const amount = await taken(lossFor(place, stakes, refused, signed));
          if (amount === "over") over.add(name);
          // Who has nothing at stake loses nothing by it.
          if (typeof amount !== "bigint" || amount === 0n) continue;
          const kind = "ruling" in refused ? "vetoed" : "voided";
          told.push({ kind, name, validator, words: `signed ${refusedText(refused)}`, amount, file: null });
        }
      return told;
    },
  };
}

/** What was found, in a sentence, and what anybody may do about it. */
export function offenceText({ kind, validator, words, amount, file }: ToldOffence, coins: (wei: bigint) => string) {
  const who = `${formatAddress(validator)} ${words}`;
  if (kind === "vetoed")
    return `${who}, and would lose ${coins(amount)} of its stake, a twentieth of which is for whoever reports it ("npx cotrain stake slash").`;
  if (kind === "voided")
    return `${who}, and would lose ${coins(amount)} of its stake once anybody reports it ("npx cotrain stake slash").`;
  const loss =
    amount === 0n
      ? "It has nothing at stake now"
      : `It would lose ${coins(amount)} of its stake, a twentieth of which is for whoever reports it`;
  return `FAIL   ${who}: both are in ${file}. ${loss} ("npx cotrain stake conflict ${file}").`;
}
