import { distributorFor, nameSuccessor } from "@cotrain/sdk/actions";
import { asAddress, rewardKind } from "@cotrain/sdk/protocol";

import { formatAddress, UserError } from "../../base/index.ts";
import { defineCommand } from "../command.ts";
import { changed, decide, decisionOptions, type Intention, intentionOf, titled } from "../decision.ts";
import { addressNamed } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";

/** Kinds that have a contract of their own. */
const kinds = ["compute", "code", "capital"] as const;

/** @throws UserError `EMISSION_KIND`, `SUCCESSOR_FORM` */
function namedOf(kind: string, address: string) {
  const found = kinds.find((each) => each === kind);
  if (found === undefined)
    throw new UserError(
      "EMISSION_KIND",
      `A successor is named for one of ${kinds.join(", ")}, not for ${JSON.stringify(kind.slice(0, 100))}: the treasury's part is the holders' own to draw.`,
    );
  return { kind: found, successor: addressNamed("A contract", "SUCCESSOR_FORM", address) };
}

async function intentionFor(place: DecidingPlace, named: ReturnType<typeof namedOf>): Promise<Intention> {
  const { connection, addresses, modelId } = place;
  const args = { addresses, modelId, kind: rewardKind[named.kind], successor: named.successor };
  const present = formatAddress(asAddress(await connection.call((client) => distributorFor(client, args))));
  const successor = formatAddress(named.successor);
  const title = titled(`contract that mints for ${named.kind}, 14 days later`, changed(present, successor, ""));
  return intentionOf(place, nameSuccessor, args, { title, document: { kind: named.kind, present, successor } });
}

/** `cotrain emission successor`. */
export const emissionSuccessorCommand = defineCommand({
  name: "emission successor",
  summary: "propose to the holders that another contract distributes a kind, 14 days after that is carried out",
  args: [
    { name: "kind", description: "compute, code or capital" },
    { name: "contract", description: "its address: a contract that did not distribute this kind before" },
  ],
  options: decisionOptions,
  examples: [
    [
      "npx cotrain emission successor code 0x00000000000000000000000000000000000000aa",
      "by the wallet of this directory that has the most votes",
    ],
  ],
  notes: [
    "The cap is shared: it begins with what is left. What the present one has not authorised by then is void, a pending root too; what it owes is claimed from it for ever. Nobody but those who vote looks at what the contract does. Coordinators and the other commands still look to the first contracts alone.",
  ],
  async run({ args: [kind = "", contract = ""], options, output }) {
    const named = namedOf(kind, contract);
    await decide({ options, output }, (place) => intentionFor(place, named));
  },
});
