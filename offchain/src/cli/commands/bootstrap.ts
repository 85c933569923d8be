import { formatShares, timeText, wrap } from "../../base/index.ts";
import { type AnnouncedAct, bootstrapAt, type BootstrapStanding } from "../../run/index.ts";
import { integer } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, placeOptions } from "../place.ts";
import { decidingAt } from "../proposing.ts";

const isDue = ({ claimed, needed, epochsOver, epochs, maxEpochs }: BootstrapStanding): boolean =>
  epochsOver >= maxEpochs || (epochsOver >= epochs && claimed >= needed);

const actText = ({ words, readyAt, expiresAt, transaction }: AnnouncedAct): string =>
  `Announced in ${transaction}, to be carried out from ${timeText(readyAt)} to ${timeText(expiresAt)}, and not once bootstrap is over: ${words}`;

function linesOf(standing: BootstrapStanding): string[] {
  const { endedAt, claimed, needed, epochsOver, epochs, maxEpochs, acts, more } = standing;
  if (endedAt !== undefined)
    return [`Bootstrap is over since ${timeText(endedAt)}: holders decide, and the organiser nothing by itself.`];
  const due = isDue(standing)
    ? " That is enough: it ends with the next proposal or dispute, or when anybody ends it."
    : "";
  return [
    `The model is in bootstrap. Workers have claimed ${formatShares(claimed)} of ${formatShares(needed)} shares, and ${epochsOver} of ${epochs} epochs are over; after ${maxEpochs} it ends whatever was claimed.${due}`,
    "Until then votes set a run's parameters, pause and resume it, and its organiser does all else, one window after it said so.",
    ...(acts.length === 0 ? ["The organiser has announced nothing that is still to be done."] : acts.map(actText)),
    ...(more > 0
      ? [`${more} more that were announced before these are not shown: --last ${more + acts.length} tells all.`]
      : []),
  ];
}

/** `cotrain bootstrap`. */
export const bootstrapCommand = defineCommand({
  name: "bootstrap",
  summary: "whether a model is in bootstrap, when that ends, and what its organiser has announced",
  options: {
    ...placeOptions,
    last: integer(1, 1_000, {
      description: "newest announcements that are told, of those that may still be carried out",
      default: 20,
    }),
  },
  examples: [["npx cotrain bootstrap", "of this directory's model"]],
  notes: [
    "What was announced is told by its call. A rollback is announced to the run's own contract: npx cotrain disputes list tells it.",
  ],
  async run({ options, output }) {
    const standing = await atPlace(
      options,
      undefined,
      async (at) => bootstrapAt(await decidingAt(at), options.last),
      undefined,
      { ticking: true },
    );
    const { endedAt, ...rest } = standing;
    output.result(
      { over: endedAt !== undefined, endedAt: endedAt ?? null, ...rest },
      linesOf(standing).flatMap((line) => wrap(line, columnsOf(process.stdout))),
    );
  },
});
