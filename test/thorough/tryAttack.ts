/**
 * The contracts with each defence of `attacks` behind a switch, compiled once in memory: with one of them taken out, the test that
 * stands for it fails, and with all of them in place it passes.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import type { Attack, Defence } from "./attacks/attack.ts";
import { root } from "./copy.ts";
import { SWITCH } from "./mutations.ts";
import { openTests, QUICK, readModule, type Sources, soliditySources } from "./sweep.ts";

/** How a defence is named where one is asked for. */
export const itemsOf = (attacks: readonly Attack[]): ReadonlyMap<string, Defence> =>
  new Map(
    attacks.flatMap(({ name, defences }) =>
      defences.map((defence, index) => [`${name} (${index + 1}: ${defence.test[1]})`, defence] as const),
    ),
  );

/** What defences of our own contracts may name beside what their files import. */
const IMPORTED = 'import {IValidatorSet as IValidatorSet__} from "contracts/interfaces/IValidatorSet.sol";\n';

const isOurs = (file: string): boolean => file.startsWith("contracts/");

/** The text of a source that a defence stands in. */
export const sourceOf = (file: string): string =>
  isOurs(file) ? readFileSync(join(root, file), "utf8") : readModule(file);

/** @returns the source with what is otherwise without a defence behind the switch */
export function switched(source: string, { text, instead }: Defence, number: number): string {
  const off = `Switch__.on(${number})`;
  const at = source.lastIndexOf(text);
  if (at < 0) throw new TypeError(`"${text}" stands nowhere.`);
  const put = instead.includes("{{off}}")
    ? instead.replaceAll("{{off}}", () => off)
    : /[;}]$/.test(text)
      ? `if (${off}) { ${instead} } else { ${text} }`
      : `(${off} ? ${instead} : ${text})`;
  return source.slice(0, at) + put + source.slice(at + text.length);
}

/** Whether the text still stands where the defence can be taken out: then another of the same text can be put behind its switch. */
const keepsText = ({ text, instead }: Defence): boolean => !instead.includes("{{off}}") || instead.includes(text);

/** All sources of the contracts with every defence behind its switch, numbered from 1. */
function switchAll(defences: readonly Defence[]): Sources {
  const sources: Record<string, string> = { ...soliditySources("contracts") };
  const numbered = [...defences.entries()].map(([index, defence]) => ({ defence, number: index + 1 }));
  const inOrder = numbered.toSorted((a, b) => Number(keepsText(b.defence)) - Number(keepsText(a.defence)));
  for (const { defence, number } of inOrder) {
    const { file } = defence;
    sources[file] = switched(sources[file] ?? sourceOf(file), defence, number);
  }
  for (const file of new Set(defences.map((each) => each.file))) {
    sources[file] = `${sources[file] ?? ""}\nimport {Switch__} from "${SWITCH}";\n${isOurs(file) ? IMPORTED : ""}`;
  }
  return sources;
}

/** @returns how a defence is tried: what is wrong with it, if something is */
export async function openAttacks(
  items: ReadonlyMap<string, Defence>,
): Promise<(item: string) => Promise<string | undefined>> {
  const defences = [...items.values()];
  const tests = soliditySources(
    "test/contracts/support",
    ...defences.map(({ test: [file] }) => `test/contracts/${file}.t.sol`),
  );
  const { suiteWith, failing } = await openTests({ ...switchAll(defences), ...tests });
  const passing = new Map<string, string | undefined>();
  return async (item) => {
    const defence = items.get(item);
    if (defence === undefined) return "there is no such defence";
    const [file, name] = defence.test;
    const suite = suiteWith(`test/contracts/${file}.t.sol`, name);
    if (suite === undefined) return `${file}.t.sol has no ${name}`;
    const run = (coinbase: bigint): Promise<string | undefined> =>
      failing({ suite, coinbase, config: QUICK, pattern: `^${name}\\b` });
    if (!passing.has(name)) passing.set(name, await run(0n));
    const before = passing.get(name);
    if (before !== undefined) return `${before} does not pass in the first place`;
    const failed = await run(BigInt(defences.indexOf(defence) + 1));
    if (failed === undefined) return `${file}.t.sol ${name} does not notice`;
    // What makes all tests fail says nothing of this one.
    return failed.includes(`.${name}(`) ? undefined : `not ${name} fails, but ${failed}`;
  };
}
