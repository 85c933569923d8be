import { setMaintainers, setValidators } from "@cotrain/sdk/actions";
import type { Address } from "@cotrain/sdk/protocol";

import { formatAddress, timeText } from "../../base/index.ts";
import {
  MOST_SIGNERS,
  nextSigners,
  type NextSigners,
  type SignerRole,
  type Signers,
  type SignersChange,
  signersOf,
  type SignerSet,
} from "../../run/index.ts";
import { accounts, integer } from "../../service/index.ts";
import { announcingOptions } from "../announcing.ts";
import { type Command, defineCommand } from "../command.ts";
import { changed, decide, decisionOptions, type Intention, intentionOf, titled } from "../decision.ts";
import { atPlace, placeOptions } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";

const documentOf = ({ version, members, threshold, effectiveAt }: SignerSet) => ({
  version,
  members: members.map(formatAddress),
  threshold,
  since: effectiveAt,
});

/** A set as people read it, each member on a line of its own. */
const setLines = ({ version, members, threshold, effectiveAt }: SignerSet, when: string): string[] => [
  `set ${version}, ${when} ${timeText(effectiveAt)}: ${threshold} of ${members.length} must sign`,
  ...members.map((member) => `  ${formatAddress(member)}`),
];

const linesOf = (role: SignerRole, { inForce, coming }: Signers): string[] => [
  ...(inForce ? setLines(inForce, "since") : [`There are no ${role}.`]),
  ...coming.flatMap((set) => setLines(set, "from")),
];

/** Whole: two that are shortened may look alike. */
const named = (members: readonly Address[]): string => members.map(formatAddress).join(", ");

function titleOf({ come, gone, members, threshold }: NextSigners, role: SignerRole, newest: SignerSet | undefined) {
  const parts = [...(come.length > 0 ? [`${named(come)} in`] : []), ...(gone.length > 0 ? [`${named(gone)} out`] : [])];
  const before = newest ? `${newest.threshold} of ${newest.members.length}` : "none";
  return titled(role, [...parts, ...changed(before, `${threshold} of ${members.length}`, "must sign")]);
}

/** Other members of a set. */
export async function signersIntention(
  place: DecidingPlace,
  role: SignerRole,
  change: SignersChange,
): Promise<Intention> {
  const { inForce, coming } = await signersOf(place, role);
  const newest = coming.at(-1) ?? inForce;
  const next = nextSigners(role, newest, change);
  const { members, threshold, replaces } = next;
  const about = {
    title: titleOf(next, role, newest),
    document: { role, replaces, members: members.map(formatAddress), threshold },
  };
  const { addresses, modelId } = place;
  const set = { addresses, modelId, replaces, threshold };
  return role === "maintainers"
    ? intentionOf(place, setMaintainers, { ...set, maintainers: members }, about)
    : intentionOf(place, setValidators, { ...set, validators: members }, about);
}

/** What help says of the two. */
const texts = {
  maintainers: {
    are: "who approves what a model pays for code",
    stale: "Grants that the set before has signed, but that were not sent, count no more once the new set does.",
  },
  validators: {
    are: "who attests a model's epochs and may stop a poster",
    stale:
      "Who was a validator goes on signing until the new set counts. Who comes must have consented: npx cotrain validators consent.",
  },
} as const;

/** `cotrain maintainers show` and `cotrain validators show`. */
export const signersShowCommand = (role: SignerRole): Command =>
  defineCommand({
    name: `${role} show`,
    summary: `${texts[role].are}: the set in force, and who is to come`,
    options: placeOptions,
    examples: [[`npx cotrain ${role} show`, "those of this directory's model, and how many of them must sign"]],
    async run({ options, output }) {
      const signers = await atPlace(options, undefined, (place) => signersOf(place, role));
      const { inForce, coming } = signers;
      output.result(
        { inForce: inForce ? documentOf(inForce) : null, coming: coming.map(documentOf) },
        linesOf(role, signers),
      );
    },
  });

/** `cotrain maintainers propose` and `cotrain validators propose`. */
export const signersProposeCommand = (role: SignerRole): Command =>
  defineCommand({
    name: `${role} propose`,
    summary: `propose to the holders other ${role}, or how many of them must sign`,
    options: {
      ...decisionOptions,
      ...announcingOptions,
      add: accounts({ description: "who comes" }),
      remove: accounts({ description: "who goes" }),
      threshold: integer(1, MOST_SIGNERS, {
        description: "how many must sign (default: as many as before, at least two thirds of the new set)",
      }),
    },
    examples: [
      [
        `npx cotrain ${role} propose --add 0x00000000000000000000000000000000000000aa --reason "She wrote half of it"`,
        "by the wallet of this directory that has the most votes",
      ],
      [`npx cotrain ${role} propose --threshold 3 --dry-run`, "what would be proposed"],
    ],
    notes: [
      `It starts from the newest set, in force or not. Two thirds at least must sign, a third of a set may change at once, and sets change once an epoch at the most; the new one counts when the model's window is over. ${texts[role].stale} Of two proposals that replace one set the first that is executed holds.`,
    ],
    run: async ({ options: { add = [], remove = [], threshold, ...options }, output }) =>
      decide({ options, output }, (place) => signersIntention(place, role, { add, remove, threshold })),
  });
