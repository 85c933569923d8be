import { epochOf, grantCapsOf, grantsApprovedIn, setGrantCaps } from "@cotrain/sdk/actions";
import { zeroAddress } from "viem";

import { formatSharesExactly } from "../../base/index.ts";
import { grantsContractOf } from "../../run/index.ts";
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

/** The caps, and what of them is used up in the present epoch. */
async function standingAt(place: Place) {
  const { connection, addresses, modelId } = place;
  const { grants, caps } = await capsAt(place);
  const timestamp = Number((await connection.call((client) => client.getBlock())).timestamp);
  const epoch = await connection.call((client) => epochOf(client, { addresses, modelId, timestamp }));
  const { inAll: approved } = await connection.call((client) =>
    grantsApprovedIn(client, { grants, modelId, epoch, author: zeroAddress }),
  );
  return { contract: grants, ...caps, epoch, approved };
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
  summary: "what maintainers may approve in an epoch; with other amounts proposes these to the holders",
  options: {
    ...decisionOptions,
    perAuthor: text({ value: "shares", description: "propose that they approve no more for one author, such as 12.5" }),
    perEpoch: text({ value: "shares", description: "propose that they approve no more in all" }),
  },
  examples: [
    ["npx cotrain code caps", "what the maintainers of this directory's model may approve, and what they have"],
    [
      "npx cotrain code caps --per-author 10 --per-epoch 50",
      "proposed by the wallet of this directory that has the most votes",
    ],
  ],
  notes: [
    "Both are 0 until the holders say otherwise, and count what was revoked too. What the holders approve themselves is not bounded by them.",
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
    output.result(
      standing,
      factTable(
        [
          ["for one author", `${formatSharesExactly(standing.perAuthor)} shares an epoch`],
          ["in all", `${formatSharesExactly(standing.perEpoch)} shares an epoch`],
          ["approved", `${formatSharesExactly(standing.approved)} shares in epoch ${standing.epoch}`],
        ],
        columnsOf(process.stdout),
      ),
    );
  },
});
