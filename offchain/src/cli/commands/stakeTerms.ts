import { setSlashTerms } from "@cotrain/sdk/actions";

import { UserError } from "../../base/index.ts";
import { stakesAt } from "../../run/index.ts";
import { real } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf, titledWhole } from "../decision.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";

const percent = (bps: number): string => `${bps / 100}%`;

/** What is lost for what, in percent from `least` to `most`, as the contract bounds it for ever. */
const offences = {
  conflict: { field: "conflictBps", of: "for statements that contradict each other", least: 10, most: 100 },
  voided: { field: "voidedBps", of: "for a signature under a voided root or a vetoed ruling", least: 1, most: 10 },
  ruling: { field: "rulingBps", of: "for work that validators ruled against", least: 0, most: 50 },
} as const;
const names = Object.keys(offences) as (keyof typeof offences)[];
type Wanted = { readonly [K in keyof typeof offences]?: number | undefined };

/** @throws UserError `PERCENT_FORM` */
function bpsOf(of: number): number {
  const bps = Math.round(of * 100);
  if (Math.abs(bps - of * 100) < 1e-6) return bps;
  throw new UserError("PERCENT_FORM", `A part of the stake is a percentage with at most two decimals, not ${of}.`);
}

async function intentionFor(place: DecidingPlace, wanted: Wanted): Promise<Intention> {
  const { modelId } = place;
  const { stakes, terms } = await stakesAt(place, "validator");
  const { version: replaces, ...before } = terms;
  const after = { ...before };
  for (const name of names) {
    const given = wanted[name];
    if (given !== undefined) after[offences[name].field] = bpsOf(given);
  }
  const title = titledWhole(
    "what is lost of a stake",
    names.map((name) => {
      const { field, of } = offences[name];
      return { before: percent(before[field]), after: percent(after[field]), of };
    }),
  );
  const document = { contract: stakes, replaces, terms: after };
  return intentionOf(place, setSlashTerms, { stakes, modelId, replaces, terms: after }, { title, document });
}

const part = ({ of, least, most }: (typeof offences)[keyof typeof offences]) =>
  real(least, most, { value: "percent", description: `propose that so much of the stake is lost ${of}` });

/** `cotrain stake terms`. */
export const stakeTermsCommand = defineCommand({
  name: "stake terms",
  summary: "what is lost of a stake for what; with other parts proposes these to the holders",
  options: {
    ...decisionOptions,
    conflict: part(offences.conflict),
    voided: part(offences.voided),
    ruling: part(offences.ruling),
  },
  examples: [
    ["npx cotrain stake terms", "those in force for this directory's model"],
    ["npx cotrain stake terms --voided 8 --vote", "proposed by the wallet of this directory that has the most votes"],
  ],
  notes: [
    "For contradictions from 10% to all, for signatures from 1% to 10%, for work up to 50%. It holds for what is proved from then on.",
  ],
  async run({ options: { conflict, voided, ruling, ...options }, output }) {
    const wanted: Wanted = { conflict, voided, ruling };
    if (names.some((name) => wanted[name] !== undefined)) {
      await decide({ options, output }, (place) => intentionFor(place, wanted));
      return;
    }
    const { stakes, terms } = await atPlace(options, undefined, (place) => stakesAt(place, "validator"));
    output.result(
      { contract: stakes, ...terms },
      factTable(
        names.map((name) => [name, `${percent(terms[offences[name].field])} ${offences[name].of}`]),
        columnsOf(process.stdout),
      ),
    );
  },
});
