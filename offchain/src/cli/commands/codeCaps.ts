import { epochOf, grantCapsOf, grantsApprovedIn, setGrantCaps } from "@cotrain/sdk/actions";
import { zeroAddress } from "viem";

import { formatSharesExactly } from "../../base/index.ts";
import { type CodeBudget, codeBudgetAt, grantsContractOf } from "../../run/index.ts";
import { text } from "../../service/index.ts";
import { sharesOf } from "../amounts.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf, titledWhole } from "../decision.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, type Place } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";

/** What maintainers may approve in an epoch, in share wei. */
interface Caps {
  readonly perAuthor: bigint;
  readonly perEpoch: bigint;
}

/** What somebody wants them to be. */
type Wanted = { readonly [K in keyof Caps]?: Caps[K] | undefined };

/** What setting these caps changes, in a line; empty where that is nothing. */
const capsTitle = (before: Caps, after: Caps): string =>
  titledWhole("grants by maintainers, an epoch", [
    {
      before: formatSharesExactly(before.perAuthor),
      after: formatSharesExactly(after.perAuthor),
      of: "shares for one author",
    },
    { before: formatSharesExactly(before.perEpoch), after: formatSharesExactly(after.perEpoch), of: "shares in all" },
  ]);

async function capsAt(place: Place) {
  const { connection, modelId } = place;
  const grants = await grantsContractOf(place);
  return { grants, caps: await connection.call((client) => grantCapsOf(client, { grants, modelId })) };
}

/** The caps, what of them is used up in the present epoch, and what the budgets leave to be granted by whomever. */
async function standingAt(place: Place) {
  const { connection, addresses, modelId } = place;
  const { grants, caps } = await capsAt(place);
  const timestamp = Number((await connection.call((client) => client.getBlock())).timestamp);
  const epoch = await connection.call((client) => epochOf(client, { addresses, modelId, timestamp }));
  const { inAll: approved } = await connection.call((client) =>
    grantsApprovedIn(client, { grants, modelId, epoch, author: zeroAddress }),
  );
  return { contract: grants, ...caps, epoch, approved, budget: await codeBudgetAt(place) };
}

/** What may be granted now, by maintainers or by a vote. */
function budgetText({ shares, epochs, perEpoch, succeeded }: CodeBudget): string {
  if (succeeded) return "nothing: another contract grants for code by now, as npx cotrain emission show tells";
  const which = epochs?.from === epochs?.to ? `epoch ${epochs?.to}` : `epochs ${epochs?.from} to ${epochs?.to}`;
  const now = epochs ? `${formatSharesExactly(shares)} shares now, of the budgets of ${which}` : "nothing now";
  return `${now}; each epoch adds ${formatSharesExactly(perEpoch)}, and what is not granted within 30 days of its epoch is never minted`;
}

async function intentionFor(place: DecidingPlace, given: Wanted): Promise<Intention> {
  const { modelId } = place;
  const { grants, caps } = await capsAt(place);
  const { perAuthor = caps.perAuthor, perEpoch = caps.perEpoch } = given;
  const { version: replaces } = caps;
  const title = capsTitle(caps, { perAuthor, perEpoch });
  const document = { contract: grants, perAuthor, perEpoch, replaces };
  return intentionOf(place, setGrantCaps, { grants, modelId, replaces, perAuthor, perEpoch }, { title, document });
}

/** `cotrain code caps`. */
export const codeCapsCommand = defineCommand({
  name: "code caps",
  summary:
    "what is left to be granted for code, and what of it maintainers may approve in an epoch; with other amounts proposes these to the holders",
  options: {
    ...decisionOptions,
    perAuthor: text({ value: "shares", description: "propose that they approve no more for one author, such as 12.5" }),
    perEpoch: text({ value: "shares", description: "propose that they approve no more in all" }),
  },
  examples: [
    [
      "npx cotrain code caps",
      "what the maintainers of this directory's model may approve, what they have, and what is left to be granted",
    ],
    [
      "npx cotrain code caps --per-author 10 --per-epoch 50",
      "proposed by the wallet of this directory that has the most votes",
    ],
  ],
  notes: [
    "Both are 0 until the holders say otherwise, and count what was revoked too. What the holders approve themselves is not bounded by them, but by what is left of the model's code budgets, as every grant is.",
  ],
  async run({ options: { perAuthor, perEpoch, ...options }, output }) {
    if (perAuthor !== undefined || perEpoch !== undefined) {
      const given: Wanted = {
        perAuthor: perAuthor === undefined ? undefined : sharesOf(perAuthor),
        perEpoch: perEpoch === undefined ? undefined : sharesOf(perEpoch),
      };
      await decide({ options, output }, (place) => intentionFor(place, given));
      return;
    }
    const standing = await atPlace(options, undefined, standingAt);
    const { budget } = standing;
    output.result(
      { ...standing, budget: { ...budget, epochs: budget.epochs ?? null } },
      factTable(
        [
          ["for one author", `${formatSharesExactly(standing.perAuthor)} shares an epoch`],
          ["in all", `${formatSharesExactly(standing.perEpoch)} shares an epoch`],
          ["approved", `${formatSharesExactly(standing.approved)} shares in epoch ${standing.epoch}`],
          ["may be granted", budgetText(budget)],
        ],
        columnsOf(process.stdout),
      ),
    );
  },
});
