import { bootstrapOf, endBootstrap } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";

import { formatAddress, formatCount, formatShares, timeText, UserError, wrap } from "../../base/index.ts";
import {
  type AnnouncedAct,
  bootstrapAt,
  type BootstrapStanding,
  isBootstrapDue,
  namedWallet,
} from "../../run/index.ts";
import { hash, integer, toggle } from "../../service/index.ts";
import { withdrawAnnounced } from "../announcing.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, type PlaceFlags, requireEntries, signingAs, signingOptions } from "../place.ts";
import { decidingAt, type DecidingPlace } from "../proposing.ts";
import { outlines } from "./outlines.ts";

const actText = ({ name, words, readyAt, expiresAt, transaction }: AnnouncedAct): string =>
  `Act ${name}, announced in ${transaction}, to be carried out from ${timeText(readyAt)} to ${timeText(expiresAt)}, and not once bootstrap is over: ${words}`;

function linesOf(standing: BootstrapStanding): string[] {
  const { organiser, endedAt, claimed, needed, epochsOver, epochs, maxEpochs, acts, more } = standing;
  if (endedAt !== undefined)
    return [`Bootstrap ended at ${timeText(endedAt)}: holders decide, and the organiser nothing by itself.`];
  const due = isBootstrapDue(standing)
    ? " That is enough: it ends with the next proposal or dispute, or when anybody ends it (--end)."
    : "";
  return [
    `The model is in bootstrap. Workers have claimed ${formatShares(claimed)} of the ${formatShares(needed)} shares that end it, and ${formatCount(epochsOver)} epochs are over, where it takes ${formatCount(epochs)}. After ${formatCount(maxEpochs)} epochs it ends whatever was claimed.${due}`,
    `Until then votes set a run's parameters, pause and resume it, and judge disputes; nothing else can be proposed. The organiser ${formatAddress(organiser)} may rule on a disputed root and suspend a poster at once; one window after it said so, it may replace a third of the validators an epoch, the maintainers and the poster, admit builds, take a run back, resume or end it, and begin the next. It may not void a root, mint, spend, pause a run, or change a role or a setting.`,
    ...(acts.length === 0 ? ["The organiser has announced nothing that is still to be done."] : acts.map(actText)),
    ...(more > 0
      ? [`${more} more that were announced before these are not shown: --last ${more + acts.length} tells all.`]
      : []),
  ];
}

/** @throws UserError `ACT_UNKNOWN` where no such act stands */
async function withdrawNamed(place: DecidingPlace, named: string, options: PlaceFlags & { readonly maxFee: number }) {
  const { acts } = await bootstrapAt(place, Infinity);
  const act = acts.find(({ name }) => name === named);
  if (!act)
    throw new UserError("ACT_UNKNOWN", `No act ${named} is announced: "npx cotrain bootstrap" names those that are.`);
  const [entry] = requireEntries(place, options);
  if (!entry) return null;
  return {
    name: act.name,
    transaction: await withdrawAnnounced(place, { to: act.target, data: act.data }, entry, options),
  };
}

/**
 * Ends it where its terms are met, which anybody may.
 * @returns the transaction; null where it was over already
 * @throws UserError `BOOTSTRAP_UNPINNED`; BootstrapNotOverError
 */
async function endDue(place: DecidingPlace, options: PlaceFlags & { readonly maxFee: number }): Promise<Hex | null> {
  const { connection, addresses, modelId, pinned } = place;
  const [entry] = requireEntries(place, options);
  if ((await bootstrapAt(place, 1)).endedAt !== undefined || !entry) return null;
  if (!pinned)
    throw new UserError(
      "BOOTSTRAP_UNPINNED",
      "Which model that is is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
    );
  const bootstrap = await connection.call((client) => bootstrapOf(client, { addresses }));
  const client = await signingAs(place, entry, options);
  await endBootstrap.simulate(client, { bootstrap, modelId });
  const { receipt } = await endBootstrap.sync(client, { bootstrap, modelId });
  return receipt.transactionHash;
}

/** `cotrain bootstrap`. */
export const bootstrapCommand = defineCommand({
  ...outlines.bootstrap,
  options: {
    ...signingOptions,
    withdraw: hash({ value: "act", description: "by the organiser's wallet: take this announced act back" }),
    end: toggle({ description: "by any wallet: end it, once that is due", default: false }),
    last: integer(1, 1_000, {
      description: "newest announcements that are told, of those that may still be carried out",
      default: 20,
    }),
  },
  examples: [
    ["npx cotrain bootstrap", "of this directory's model"],
    [
      `npx cotrain bootstrap --withdraw 0x${"a9".repeat(32)} --wallet organiser.json --passphrase-file pass`,
      "the act that it has told by this name",
    ],
    ["npx cotrain bootstrap --end", "holders decide from now on, if that is due; it costs gas alone"],
  ],
  notes: [
    "Of each kind of act one stands at a time: another is announced once that is withdrawn, carried out or expired.",
    "What was announced is told by its call. A rollback is announced to the run's own contract: npx cotrain disputes list tells it.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    if (options.end && options.withdraw !== undefined)
      throw new UserError("USAGE", "--end ends bootstrap, and --withdraw takes an act back: one at a time.");
    const { standing, withdrawn, ended } = await atPlace(
      options,
      own,
      async (at) => {
        const place = await decidingAt(at);
        const withdrawn = options.withdraw === undefined ? null : await withdrawNamed(place, options.withdraw, options);
        const ended = options.end ? await endDue(place, options) : null;
        return { standing: await bootstrapAt(place, options.last), withdrawn, ended };
      },
      undefined,
      { party: "organisers", ticking: true },
    );
    const { endedAt, ...rest } = standing;
    const lines = [
      ...(withdrawn === null ? [] : [`Act ${withdrawn.name} was withdrawn in ${withdrawn.transaction}.`]),
      ...(ended === null ? [] : [`Bootstrap was ended in ${ended}.`]),
    ];
    output.result(
      { over: endedAt !== undefined, endedAt: endedAt ?? null, ...rest, withdrawn, ended },
      [...lines, ...linesOf(standing)].flatMap((line) => wrap(line, columnsOf(process.stdout))),
    );
  },
});
