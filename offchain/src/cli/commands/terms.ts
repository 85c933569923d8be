/** `cotrain terms`: which licences and terms a model's shares name, and having the holders name others. */
import { contractUriOf, setContractUri } from "@cotrain/sdk/actions";

import { formatAddress, UserError } from "../../base/index.ts";
import { contractAt } from "../../run/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf } from "../decision.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, placeOptions } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";

/** Characters of a URI; each of them costs gas, and whoever votes reads it. */
const MOST_URI = 2_000;
/** Characters that are shown of one: whoever created the model may have written megabytes. */
const MOST_SHOWN = 4_000;

/** @throws UserError `TERMS_URI` */
function requireUri(uri: string): void {
  if (uri.length <= MOST_URI && /^[\x21-\x7e]+$/.test(uri) && URL.canParse(uri)) return;
  throw new UserError(
    "TERMS_URI",
    `Licences and terms are named by a URI of at most ${MOST_URI} characters of ASCII without spaces, such as ipfs://… or https://…, not by ${JSON.stringify(uri.slice(0, 100))}.`,
  );
}

const shownUri = (uri: string): string => {
  if (uri === "") return "none are named";
  return uri.length > MOST_SHOWN ? `${uri.slice(0, MOST_SHOWN)}…` : uri;
};

/** What a document names of a contract (ERC-7572), as far as it is words. */
const SAID = ["name", "description", "external_link"] as const;

/** What a document says that stands in the URI itself: nothing is fetched from anybody. */
async function saidIn(uri: string): Promise<Readonly<Record<string, string>>> {
  if (uri.length > MOST_SHOWN || !/^data:application\/json[;,]/i.test(uri)) return {};
  let document: unknown;
  try {
    document = await (await fetch(uri)).json();
  } catch {
    return {};
  }
  if (typeof document !== "object" || document === null) return {};
  const said = new Map(Object.entries(document));
  return Object.fromEntries(
    SAID.flatMap((field) => {
      const words: unknown = said.get(field);
      return typeof words === "string" ? [[field, words]] : [];
    }),
  );
}

/** `cotrain terms show`. */
export const termsShowCommand = defineCommand({
  name: "terms show",
  summary: "where the model's licences and terms stand, as its shares name them (ERC-7572)",
  options: placeOptions,
  examples: [["npx cotrain terms show", "of this directory's model"]],
  notes: [
    "Whoever created the model named them; holders may name others. What stands in the URI itself is shown in words; nothing is fetched.",
  ],
  async run({ options, output }) {
    const found = await atPlace(options, undefined, async (place) => {
      const shares = await contractAt(place, "shares");
      const uri = await place.connection.call((client) => contractUriOf(client, { shares }));
      return { shares, uri, says: await saidIn(uri) };
    });
    output.result(
      found,
      factTable(
        [
          ["shares", formatAddress(found.shares)],
          ["terms", shownUri(found.uri)],
          ...Object.entries(found.says).map(([field, words]): [string, string] => [field.replace("_", " "), words]),
        ],
        columnsOf(process.stdout),
      ),
    );
  },
});

async function intentionFor(place: DecidingPlace, uri: string): Promise<Intention> {
  const { connection, contracts } = place;
  const { shares } = contracts;
  const before = await connection.call((client) => contractUriOf(client, { shares }));
  const title = before === uri ? "" : `licences and terms: ${uri}`;
  return intentionOf(place, setContractUri, { shares, uri }, { title, document: { shares, replaces: before, uri } });
}

/** `cotrain terms propose`. */
export const termsProposeCommand = defineCommand({
  name: "terms propose",
  summary: "propose to the holders that the model's shares name other licences and terms",
  args: [{ name: "uri", description: "where they stand, best by a digest of them, such as ipfs://…" }],
  options: decisionOptions,
  examples: [
    [
      "npx cotrain terms propose ipfs://bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
      "by the wallet of this directory that has the most votes",
    ],
  ],
  notes: ["The chain keeps the name alone. What stands behind an https address its owner may change at any time."],
  async run({ args: [uri = ""], options, output }) {
    requireUri(uri);
    await decide({ options, output }, (place) => intentionFor(place, uri));
  },
});

/** Commands about a model's terms, in the order of `cotrain --help`. */
