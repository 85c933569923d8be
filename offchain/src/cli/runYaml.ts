/**
 * The file that describes a run and what it may rent: YAML, of two sections whose keys are those of options. It settles what would be
 * typed; what spends is confirmed on the command line alone, and no secret and no place of this machine's keys stands in it.
 */
import { dirname } from "node:path";

import { isMap, isScalar, isSeq, LineCounter, type Pair, parseDocument, visit, type YAMLMap, type YAMLSeq } from "yaml";

import { printable, UserError } from "../base/index.ts";
import { pathWithin, readFileBounded, recipeChoices } from "../base/node/index.ts";
import { type ConfigFile, didYouMean, type OptionSet, settled, text } from "../service/index.ts";
import { wishOptions } from "./market.ts";

const sectionNames = ["run", "market"] as const;
export type SectionName = (typeof sectionNames)[number];

/** Which options each section may have. */
const keysOf: Readonly<Record<SectionName, readonly string[]>> = {
  run: ["preset", "data", ...recipeChoices, "founders", "capital", "rpc", "device", "maxFee", "deployments"],
  market: [
    "budget",
    "tokens",
    "deadline",
    "valueOfTime",
    "mostGpus",
    "hubLink",
    "hubCost",
    "mode",
    "count",
    "minimum",
    "for",
    "dearer",
    "image",
    "start",
    "sshKey",
    "coordinator",
    "beneficiary",
    "drain",
    "gpu",
    "gpus",
    "leastGpus",
    "vram",
    "cpus",
    "ram",
    "disk",
    "country",
    "region",
    "tier",
    "interconnect",
    "uplink",
    "charge",
    "maxPrice",
    "maxHour",
    "maxToken",
    "reliability",
    "anyOf",
    "provider",
    "without",
    "auction",
    "machines",
  ],
};
/** Keys of a market that say which cluster is best, and not which offers may be in it. */
export const planKeys = ["tokens", "deadline", "valueOfTime", "mostGpus", "hubLink", "hubCost", "mode"] as const;
/** Files that are named as they lie beside the description, which may be a stranger's: none is read elsewhere by it. */
const PATHS: ReadonlySet<string> = new Set(["data", "start", "sshKey", "machines", "deployments"]);

const MAX_BYTES = 64 << 10;
const MAX_ALTERNATIVES = 32;

/** The option that names the file, of every command that reads one. */
export const fileOption = {
  ...text({ value: "file", description: "YAML file that describes the run and what it may rent" }),
  short: "f",
};

/** Options of all commands that read a section, by section. */
type Options = Readonly<Record<SectionName, OptionSet>>;
/** What of a run the market asks for too. */
const shared: ReadonlySet<string> = new Set(["preset", "innerSteps"]);

type Section = YAMLMap;

/** A file as it is read, and where things stand in it. */
interface Reading {
  readonly path: string;
  readonly lineOf: (node: unknown) => number;
  readonly refuse: (line: number, why: string) => UserError;
}

const rangeOf = (node: unknown): number =>
  typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range) ? Number(node.range[0]) : 0;
const keyOf = ({ key }: Pair): string => printable(String(isScalar(key) ? key.value : key)).slice(0, 80);

/** The whole document. @throws UserError `RUN_FILE` with the line of what is wrong */
function parsed(path: string, source: string): { root: Section; reading: Reading } {
  const lines = new LineCounter();
  const refuse = (line: number, why: string): UserError => new UserError("RUN_FILE", `${path}, line ${line}: ${why}`);
  const lineOf = (node: unknown): number => Math.max(1, lines.linePos(rangeOf(node)).line);
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(source, { lineCounter: lines, prettyErrors: false, version: "1.2", stringKeys: true });
  } catch {
    throw refuse(1, "it cannot be read: it has too many levels.");
  }
  const [wrong] = [...document.errors, ...document.warnings];
  if (wrong !== undefined)
    throw refuse(
      lines.linePos(wrong.pos[0]).line,
      `it is no YAML that is read here: ${printable(wrong.message).split("\n")[0]}.`,
    );
  visit(document, {
    Alias: (_, node) => {
      throw refuse(lineOf(node), "it has an alias: write the value out.");
    },
  });
  const { contents } = document;
  if (!isMap(contents)) throw refuse(1, "it must have the sections run and market.");
  return { root: contents, reading: { path, lineOf, refuse } };
}

/** A value as JSON. */
const plain = (node: unknown): unknown =>
  typeof node === "object" && node !== null && "toJSON" in node && typeof node.toJSON === "function"
    ? (node.toJSON() as unknown)
    : node;

const wishes: OptionSet = wishOptions;

/** `{ gpu: [H100, A100], charge: spot }` → `gpu=H100/A100,charge=spot`; undefined where it has no such form. @throws UserError `RUN_FILE` */
function alternativeOf(each: unknown, { lineOf, refuse }: Reading): string | undefined {
  if (!isMap(each) || each.items.length === 0) return undefined;
  const words = each.items.map((pair) => {
    const key = keyOf(pair);
    const line = lineOf(pair.key);
    const option = Object.hasOwn(wishes, key) ? wishes[key] : undefined;
    if (option === undefined)
      throw refuse(line, `"${key}" is no wish of an alternative.${didYouMean(key, Object.keys(wishes))}`);
    const given = plain(pair.value);
    const list = (Array.isArray(given) ? given : [given]).map(String);
    if (list.some((word) => /[,;=/]/.test(word))) return undefined;
    if (settled(option, list.join(",")) === undefined) throw refuse(line, `${key} must be ${option.allowed}.`);
    return `${key}=${list.join("/")}`;
  });
  return words.includes(undefined) ? undefined : words.join(",");
}

/** What --any-of takes of a list of alternatives. @throws UserError `RUN_FILE` */
function alternativesIn(list: YAMLSeq, line: number, reading: Reading): string {
  const all = list.items.slice(0, MAX_ALTERNATIVES + 1).map((each) => alternativeOf(each, reading));
  if (all.length === 0 || all.length > MAX_ALTERNATIVES || all.includes(undefined))
    throw reading.refuse(
      line,
      `anyOf must be up to ${MAX_ALTERNATIVES} alternatives such as { gpu: [H100, A100], charge: spot }.`,
    );
  return all.join(";");
}

/** A value as its option takes it from a file, or the options of it. @throws UserError `RUN_FILE` */
function valueOf(pair: Pair, options: readonly OptionSet[], reading: Reading): unknown {
  const key = keyOf(pair);
  const line = reading.lineOf(pair.key);
  const given = plain(pair.value);
  if (key === "anyOf") {
    if (!isSeq(pair.value)) throw reading.refuse(line, "anyOf must be a list of alternatives.");
    return alternativesIn(pair.value, line, reading);
  }
  for (const { [key]: option } of options)
    if (option === undefined || settled(option, given) === undefined)
      throw reading.refuse(line, `${key} must be ${option?.allowed ?? "left out"}.`);
  if (!PATHS.has(key) || typeof given !== "string") return given;
  const path = pathWithin(dirname(reading.path), given);
  if (path === undefined)
    throw reading.refuse(line, `${key} must be a file in the directory of this one: type another as an option.`);
  return path;
}

/** A section's values. @throws UserError `RUN_FILE` */
function sectionOf(name: SectionName, section: unknown, options: Options, reading: Reading): Record<string, unknown> {
  if (section === undefined || section === null || (isScalar(section) && section.value === null)) return {};
  if (!isMap(section)) throw reading.refuse(reading.lineOf(section), `${name} must have settings, one a line.`);
  const values: Record<string, unknown> = {};
  for (const pair of section.items) {
    const key = keyOf(pair);
    if (!keysOf[name].includes(key))
      throw reading.refuse(
        reading.lineOf(pair.key),
        `"${key}" is no setting of ${name}.${didYouMean(key, keysOf[name])}`,
      );
    const isShared = name === "run" && shared.has(key);
    values[key] = valueOf(pair, isShared ? [options.market, options.run] : [options[name]], reading);
  }
  return values;
}

/** What a description says, by section; values as a file of settings has them. */
export type Described = Readonly<Record<SectionName, Readonly<Record<string, unknown>>>>;

/**
 * Reads and checks all of a description, whichever section is asked for.
 * @throws UserError `RUN_FILE` with the line; `FILE_UNREADABLE`, `FILE_TOO_LARGE`
 */
export async function readRunYaml(path: string, options: Options): Promise<Described> {
  const source = new TextDecoder().decode(await readFileBounded(path, MAX_BYTES));
  const { root, reading } = parsed(path, source);
  const described: Record<SectionName, Record<string, unknown>> = { run: {}, market: {} };
  for (const pair of root.items) {
    const key = keyOf(pair);
    const name = sectionNames.find((each) => each === key);
    if (name === undefined)
      throw reading.refuse(reading.lineOf(pair.key), `"${key}" is no section: there are run and market.`);
    described[name] = sectionOf(name, pair.value, options, reading);
  }
  return described;
}

/** What of a description an option set takes: its section's, and of the run's what the market asks for too. */
export const settingsFor = (
  path: string,
  section: SectionName,
  described: Described,
  options: OptionSet,
): ConfigFile => ({
  path,
  values: Object.fromEntries(
    Object.entries({ ...(section === "market" ? sharedOf(described.run) : {}), ...described[section] }).filter(
      ([key]) => Object.hasOwn(options, key),
    ),
  ),
});
const sharedOf = (run: Described["run"]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(run).filter(([key]) => shared.has(key)));
