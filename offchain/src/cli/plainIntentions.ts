/**
 * Intentions in plain words, as `cotrain propose` takes them: "set inner steps to 48", "set inner learning rate to 0.002", "add
 * maintainer 0x…", "sell at least at 0.02", "let votes last 5 days".
 * Few sentences are understood, and what is understood is shown as the proposal that comes of it; of all others it is said which
 * command decides them, so that nothing is guessed.
 */
import { type Parameter, runParameters } from "@cotrain/sdk/protocol";
import { parseUnits } from "viem";

import { UserError } from "../base/index.ts";
import type { SignerRole, SignersChange, VoteTerm, VoteTerms } from "../run/index.ts";
import { didYouMean } from "../service/index.ts";
import { addressNamed } from "./place.ts";

export type PlainIntention =
  /** Parameters of the run, each as `name=value`. */
  | { readonly of: "params"; readonly words: readonly string[] }
  | { readonly of: "signers"; readonly role: SignerRole; readonly change: SignersChange }
  /** What a share costs at the least, in the capital token. */
  | { readonly of: "sale"; readonly price: string }
  /** How votes go. */
  | { readonly of: "terms"; readonly wanted: Partial<VoteTerms> };

/** "inner steps" of "innerSteps". */
const plainName = (name: string): string => name.replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();

interface Named {
  readonly row: Parameter;
  /** By its words of `params`, where values have the units that are shown there; else they are the contract's integers. */
  readonly byLabel: boolean;
}

const names = new Map<string, Named>(
  runParameters.flatMap((row: Parameter): [string, Named][] => [
    [row.label.toLowerCase(), { row, byLabel: true }],
    [plainName(row.name), { row, byLabel: false }],
    [row.name.toLowerCase(), { row, byLabel: false }],
  ]),
);

/** Decimals of a unit as `params` shows values in it: 0.003 is 3,000,000 billionths. */
const decimalsOf: Partial<Record<Parameter["unit"], number>> = { ppb: 9, ppm: 6, bps: 2, "coin wei": 18 };

const shown = (text: string): string => JSON.stringify(text.slice(0, 100));

/** The contract's integer of a value that stands beside a label. @throws UserError `PARAM_VALUE` */
function integerOf({ label, unit }: Parameter, value: string): string {
  const decimals = decimalsOf[unit];
  if (decimals === undefined) return value;
  const number = unit === "bps" ? value.replace(/%$/, "") : value;
  const [, fraction = ""] = /^\d{1,12}(?:\.(\d+))?$/.exec(number) ?? [undefined, "-".repeat(decimals + 1)];
  if (fraction.length > decimals)
    throw new UserError(
      "PARAM_VALUE",
      `${label} is a number with at most ${decimals} decimals, as "npx cotrain params" shows it, not ${shown(value)}.`,
    );
  return String(parseUnits(number, decimals));
}

/** `name=value` of one change. @throws UserError `PARAM_UNKNOWN`, `PARAM_VALUE` */
function changeOf(said: string, value: string): string {
  const named = names.get(said.toLowerCase().replaceAll(/[\s-]+/g, " "));
  if (named !== undefined) return `${named.row.name}=${named.byLabel ? integerOf(named.row, value) : value}`;
  const near = didYouMean(
    said,
    runParameters.flatMap((each) => [plainName(each.name), each.label]),
  );
  throw new UserError("PARAM_UNKNOWN", `No run has a parameter ${shown(said)}: "npx cotrain params" shows all.${near}`);
}

const roles = { maintainer: "maintainers", validator: "validators" } as const;

function signersIntention(way: string, one: keyof typeof roles, whom: string): PlainIntention {
  const accounts = whom
    .split(/[\s,]+/)
    .filter((word) => word !== "" && word !== "and")
    .map((word) => addressNamed(`A ${one}`, "INTENTION_WHOM", word));
  if (accounts.length === 0)
    throw new UserError("INTENTION_WHOM", `Which ${one} is missing: "${way} ${one} 0x…" names it by its address.`);
  const [add, remove] = way === "add" ? [accounts, []] : [[], accounts];
  return { of: "signers", role: roles[one], change: { add, remove } };
}

/** What the page for holders calls the settings of votes. */
const termNames: Readonly<Record<string, VoteTerm>> = {
  "voting delay": "votingDelay",
  "voting period": "votingPeriod",
  "late-quorum extension": "lateQuorumVoteExtension",
  "timelock's delay": "timelockDelay",
  "proposal threshold": "proposalThreshold",
  quorum: "quorumBps",
};
const termForm = Object.keys(termNames).join("|");

const secondsOf: Readonly<Record<string, bigint>> = { s: 1n, m: 60n, h: 3_600n, d: 86_400n, w: 604_800n };

/** Seconds, share wei or basis points of what stands beside a setting. @throws UserError `TERM_VALUE` */
function termValue(term: VoteTerm, value: string): bigint {
  const [form, decimals, such] =
    term === "quorumBps"
      ? ([/^(\d{1,3}(?:\.\d{1,2})?) ?(?:%|percent)$/i, 2, "such as 4%"] as const)
      : term === "proposalThreshold"
        ? ([/^(\d{1,20}(?:\.\d{1,18})?)(?: (?:shares?|votes?))?$/i, 18, "such as 100 shares"] as const)
        : ([
            /^(\d{1,9}) ?(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?|d(?:ays?)?|w(?:eeks?)?)$/i,
            0,
            "such as 5 days",
          ] as const);
  const [, number, unit = "s"] = form.exec(value) ?? [];
  if (number === undefined)
    throw new UserError("TERM_VALUE", `What votes are to go by is ${such}, not ${shown(value)}.`);
  const parsed = parseUnits(number, decimals);
  return decimals === 0 ? parsed * (secondsOf[unit.charAt(0).toLowerCase()] ?? 1n) : parsed;
}

const termsOf = (term: VoteTerm, value: string): PlainIntention => ({
  of: "terms",
  wanted: { [term]: termValue(term, value) },
});

/** Several settings of votes, with "and" or commas between. @throws UserError `INTENTION_UNKNOWN`, `TERM_TWICE`, `TERM_VALUE` */
function termsIntention(changes: string): PlainIntention {
  const wanted: Partial<Record<VoteTerm, bigint>> = {};
  for (const change of changes.split(/\s*,\s*(?:and\s+)?|\s+and\s+/)) {
    const [, name = "", value = ""] = new RegExp(`^(?:set )?(?:the )?(${termForm}) to (.+)$`, "i").exec(change) ?? [];
    const term = termNames[name.toLowerCase()];
    if (term === undefined) throw unknown(change);
    if (wanted[term] !== undefined) throw new UserError("TERM_TWICE", `The ${name} is set twice: give it one value.`);
    wanted[term] = termValue(term, value);
  }
  return { of: "terms", wanted };
}

/** Forms that are understood, each with what it means. */
const forms: readonly (readonly [RegExp, (...parts: string[]) => PlainIntention])[] = [
  [new RegExp(`^set ((?:the )?(?:${termForm})\\b.*)$`, "i"), (changes = "") => termsIntention(changes)],
  [/^(?:let )?(?:all |a )?votes? lasts? (.+)$/i, (time = "") => termsOf("votingPeriod", time)],
  [/^(?:let )?(?:all |a )?vot(?:es?|ing) begins? after (.+)$/i, (time = "") => termsOf("votingDelay", time)],
  [
    /^set (.+ to \S+)$/i,
    (changes = "") => ({
      of: "params",
      words: changes.split(/\s*,\s*|\s+and\s+/).map((change) => {
        const [, said = "", value = ""] = /^(?:set )?(?:the )?(.+?) to (\S+)$/i.exec(change) ?? [];
        return changeOf(said === "" ? change : said, value);
      }),
    }),
  ],
  [
    /^(add|remove) (?:an? |the )?(maintainer|validator)s?\b(.*)$/i,
    (way = "", one = "", whom = "") =>
      signersIntention(way.toLowerCase(), one.toLowerCase() as keyof typeof roles, whom),
  ],
  [
    /^sell (?:an? )?(?:shares? )?(?:at least )?(?:at |for )?(?:at least )?(\d+(?:\.\d+)?)$/i,
    (price = "") => ({ of: "sale", price }),
  ],
];

/** Which command decides what somebody speaks of. */
const elsewhere: readonly (readonly [RegExp, string])[] = [
  [/maintainer/i, "maintainers propose --add 0x…"],
  [/validator/i, "validators propose --add 0x…"],
  [/sell|price|sale/i, "capital propose --price 0.02"],
  [/budget|spend/i, "budget propose"],
  [/treasury|pay /i, "treasury pay"],
  [/successor|distribut/i, "emission successor"],
  [/emission|mint|split/i, "emission propose"],
  [/build/i, "builds propose"],
  [/grant|code|author/i, "code approve-by-vote"],
  [/poster/i, "poster propose 0x…"],
  [/roll|back|checkpoint/i, "checkpoint rollback"],
  [/bond|dispute/i, "disputes bond 0.2"],
  [/slash|offence/i, "stake terms"],
  [/vote|voting|quorum|threshold|timelock/i, "proposals terms"],
];

const unknown = (said: string): UserError => {
  const command = elsewhere.find(([about]) => about.test(said))?.[1];
  return new UserError(
    "INTENTION_UNKNOWN",
    `It is not understood what ${shown(said)} would change: ${
      command === undefined
        ? 'write a parameter as innerSteps=48 or "set inner steps to 48", "add maintainer 0x…", "sell at least at 0.02", or "let votes last 5 days"; other decisions have commands of their own, which "npx cotrain --help" lists'
        : `"npx cotrain ${command}" is for that, with --help for how`
    }.`,
  );
};

/**
 * What a sentence means.
 * @throws UserError `INTENTION_UNKNOWN` with the command that decides it, if one does; `INTENTION_WHOM`, `PARAM_UNKNOWN`
 */
export function plainIntention(text: string): PlainIntention {
  const said = text.trim().replaceAll(/\s+/g, " ").replace(/\.$/, "");
  for (const [form, meaning] of forms) {
    const found = form.exec(said);
    if (found) return meaning(...found.slice(1));
  }
  throw unknown(said);
}
