import { runOf, setPoster } from "@cotrain/sdk/actions";
import { type Address, asAddress } from "@cotrain/sdk/protocol";

import { formatAddress } from "../../base/index.ts";
import { announcingOptions } from "../announcing.ts";
import { defineCommand } from "../command.ts";
import { changed, decide, decisionOptions, type Intention, intentionOf, titled } from "../decision.ts";
import { addressNamed } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";

async function intentionFor(place: DecidingPlace, poster: Address): Promise<Intention> {
  const { connection, addresses, runId } = place;
  const before = asAddress((await connection.call((client) => runOf(client, { addresses, runId }))).poster);
  // Whole: two that are shortened may look alike.
  const title = titled("poster", changed(formatAddress(before), formatAddress(poster), ""));
  const document = { runId, replaces: formatAddress(before), poster: formatAddress(poster) };
  return intentionOf(place, setPoster, { addresses, runId, poster }, { title, document });
}

/** `cotrain poster propose`. */
export const posterProposeCommand = defineCommand({
  name: "poster propose",
  summary: "propose to the holders another wallet to post a run's heads, after a suspension say",
  args: [{ name: "address", description: "whose wallet the run's coordinator is to post with" }],
  options: { ...decisionOptions, ...announcingOptions },
  examples: [
    [
      "npx cotrain poster propose 0x00000000000000000000000000000000000000aa",
      "by the wallet of this directory that has the most votes",
    ],
    [
      `npx cotrain poster propose 0x00000000000000000000000000000000000000aa --dry-run --run 0x${"a9".repeat(32)} --deployment deployments/8453.json --rpc https://rpc.example.org`,
      "what would be proposed, of a run whose coordinator is not asked",
    ],
  ],
  notes: [
    "From its execution on the contract takes heads of that wallet alone: end the coordinator then, and start one on the run's state with it. A suspended poster stays suspended: the holders name another.",
  ],
  async run({ args: [named = ""], options, output }) {
    const poster = addressNamed("A poster", "POSTER_FORM", named);
    await decide({ options, output }, (place) => intentionFor(place, poster));
  },
});
