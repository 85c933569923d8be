import { boundsOf, paramsOf, runOf, setParams } from "@cotrain/sdk/actions";
import {
  checkRunParams,
  type Parameter,
  parametersChange,
  type RunParams,
  runParameters,
  runParamsToWire,
} from "@cotrain/sdk/protocol";

import { UserError } from "../../base/index.ts";
import { didYouMean } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf } from "../decision.ts";
import { type PlainIntention, plainIntention } from "../plainIntentions.ts";
import type { DecidingPlace } from "../proposing.ts";
import { saleIntention } from "./capitalTerms.ts";
import { termsIntention } from "./proposalsTerms.ts";
import { signersIntention } from "./signers.ts";
import { outlines } from "./outlines.ts";

const rows: readonly Parameter[] = runParameters;

/** Digits of the largest value of any parameter, a uint128. */
const valueForm = /^\d{1,39}$/;

/** The value that a word or number stands for. @throws UserError `PARAM_VALUE` */
function valueOf({ name, codes, type }: Parameter, value: string): number | bigint {
  const code = codes && Object.hasOwn(codes, value) ? codes[value] : undefined;
  if (code !== undefined) return code;
  if (valueForm.test(value)) return type === "uint128" ? BigInt(value) : Number(value);
  const words = codes
    ? `${Object.keys(codes).join(", ")}, or the number of one`
    : 'an integer, as "npx cotrain params --json" has it';
  // Which of the words a run allows only its chain knows.
  const allowed = codes ? '; "npx cotrain params" shows what this run allows' : "";
  throw new UserError("PARAM_VALUE", `${name} must be ${words}, not ${JSON.stringify(value.slice(0, 100))}${allowed}.`);
}

/**
 * What the words of a command line change.
 * @throws UserError `PARAM_FORM`, `PARAM_UNKNOWN`, `PARAM_TWICE`, `PARAM_VALUE`
 */
export function changesOf(words: readonly string[]): Partial<RunParams> {
  const changes = new Map<string, number | bigint>();
  for (const word of words) {
    const at = word.indexOf("=");
    if (at < 1)
      throw new UserError(
        "PARAM_FORM",
        `A change is written name=value, such as innerSteps=48, not ${JSON.stringify(word.slice(0, 100))}.`,
      );
    const name = word.slice(0, at);
    const row = rows.find((each) => each.name === name);
    if (!row) {
      const near = didYouMean(
        name,
        rows.map((each) => each.name),
      );
      throw new UserError(
        "PARAM_UNKNOWN",
        `No run has a parameter ${JSON.stringify(name.slice(0, 100))}: "npx cotrain params" shows all.${near}`,
      );
    }
    if (changes.has(name)) throw new UserError("PARAM_TWICE", `${name} is given twice: give it one value.`);
    changes.set(name, valueOf(row, word.slice(at + 1)));
  }
  return Object.fromEntries(changes) as Partial<RunParams>;
}

/** The parameters that a change would put in force. @throws ProtocolError `INVALID_PARAMS` for what the run does not allow */
async function intentionFor(place: DecidingPlace, changes: Partial<RunParams>): Promise<Intention> {
  const { connection, addresses, runId } = place;
  const { version: replaces, fragments } = await connection.call((client) => runOf(client, { addresses, runId }));
  const [before, bounds] = await Promise.all([
    connection.call((client) => paramsOf(client, { addresses, runId, version: replaces })),
    connection.call((client) => boundsOf(client, { addresses, runId })),
  ]);
  const params: RunParams = { ...before, ...changes };
  const title = parametersChange(before, params);
  if (title !== "") checkRunParams(params, fragments, bounds);
  const document = { params: runParamsToWire(params), replaces };
  return intentionOf(place, setParams, { addresses, runId, replaces, params }, { title, document });
}

/** Words of a line are changes of parameters, or one sentence. */
function meantBy(words: readonly string[]): PlainIntention {
  const text = words.join(" ");
  return /\s/.test(text) && !text.includes("=") ? plainIntention(text) : { of: "params", words };
}

/** @throws as `changesOf` */
function proposalOf(meant: PlainIntention): (place: DecidingPlace) => Promise<Intention> {
  if (meant.of === "sale") return (place) => saleIntention(place, meant);
  if (meant.of === "terms") return (place) => termsIntention(place, meant.wanted);
  if (meant.of === "signers") return (place) => signersIntention(place, meant.role, meant.change);
  const changes = changesOf(meant.words);
  return (place) => intentionFor(place, changes);
}

/** `cotrain propose`. */
export const proposeCommand = defineCommand({
  ...outlines.propose,
  options: decisionOptions,
  examples: [
    ["npx cotrain propose innerSteps=48 --vote", "by the wallet of this directory that has the most votes"],
    ['npx cotrain propose "set inner steps to 48" --dry-run', "the same in plain words"],
    ['npx cotrain propose "set inner learning rate to 0.002"', "a parameter by its words and unit of params"],
    ['npx cotrain propose "sell at least at 0.02"', "as capital propose --price 0.02 does"],
    ['npx cotrain propose "let votes last 5 days"', "as proposals terms --period 5d does"],
    [`npx cotrain propose "add maintainer 0x${"a9".repeat(20)}"`, "as maintainers propose --add does"],
    ["npx cotrain propose weighting=uniform innerLrPpb=2000000 --dry-run", "what would be proposed"],
    [
      "npx cotrain propose innerSteps=96 --coordinator https://train.example.org --rpc https://rpc.example.org",
      "to the holders of somebody else's run, by this directory's worker",
    ],
  ],
  notes: [
    "Values are integers as params --json has them, or the words of a parameter that has words; a sentence that names a parameter by its words of params has its value in the unit that is shown there. What is not within the run's bounds is refused before anything is sent; what would be decided and the proposal itself are simulated. Of two accepted changes of one version the first that is executed holds.",
  ],
  async run({ args, options, output }) {
    await decide({ options, output }, proposalOf(meantBy(args)));
  },
});
