import { bondTerms, setDisputeBond } from "@cotrain/sdk/actions";
import { rewardKind } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { coinsOf } from "../amounts.ts";
import { defineCommand } from "../command.ts";
import { changed, decide, decisionOptions, type Intention, intentionOf, titled } from "../decision.ts";
import { atPlace } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";

const coins = (wei: bigint): string => `${formatEther(wei)} coins`;

async function intentionFor(place: DecidingPlace, base: bigint): Promise<Intention> {
  const { connection, addresses, modelId } = place;
  const before = await connection.call((client) => bondTerms(client, { addresses, modelId }));
  const { version: replaces } = before;
  const title = titled("what the first dispute of a row costs", changed(coins(before.base), coins(base), ""));
  const document = { base, replaces };
  return intentionOf(place, setDisputeBond, { addresses, modelId, replaces, base }, { title, document });
}

const nextText = ({ bond, level }: { readonly bond: bigint; readonly level: number }): string =>
  `${coins(bond)}${level === 0 ? "" : ` (doubled ${level === 1 ? "once" : `${level} times`}, since roots before were disputed)`}`;

/** `cotrain disputes bond`. */
export const disputesBondCommand = defineCommand({
  name: "disputes bond",
  summary: "what a dispute costs; with another amount proposes that to the holders",
  args: [{ name: "amount", description: "coins that the first dispute of a row is to cost", optional: true }],
  options: decisionOptions,
  examples: [
    ["npx cotrain disputes bond", "what the next dispute costs, and what the first of a row does"],
    ["npx cotrain disputes bond 0.2 --vote", "proposed by the wallet of this directory that has the most votes"],
  ],
  notes: [
    "Holders may move it to a sixteenth or to sixteen times what it is, once in 30 days. It concerns disputes to come.",
  ],
  async run({ args: [amount], options, output }) {
    if (amount !== undefined) {
      const base = coinsOf(amount);
      await decide({ options, output }, (place) => intentionFor(place, base));
      return;
    }
    const standing = await atPlace(options, undefined, async ({ connection, reader, addresses, modelId }) => {
      const terms = await connection.call((client) => bondTerms(client, { addresses, modelId }));
      const [next, revenue] = await Promise.all([
        reader.disputeCost(modelId),
        reader.rootsOfKind(rewardKind.revenue).disputeCost(modelId),
      ]);
      return { base: terms.base, version: terms.version, next, revenue };
    });
    const { base, next, revenue } = standing;
    output.result(standing, [
      `The first dispute of a row costs a bond of ${coins(base)}. The next one costs ${nextText(next)} about a root of compute, and ${nextText(revenue)} about one of revenue.`,
    ]);
  },
});
