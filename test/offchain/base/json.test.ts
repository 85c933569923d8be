/** JSON from outside: how much of it is parsed, and which is a document. */
import {
  canonicalJson,
  hasLongNames,
  hasTooManyValues,
  MAX_JSON_NAME_BYTES,
  MAX_JSON_VALUES,
} from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { parseCanonicalJson, parseJsonBounded } from "../../../offchain/src/base/index.ts";
import { inLevels, levels, texts } from "../../interop/reading.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const limit = 64 << 20;
const read = (text: string): unknown => parseCanonicalJson(bytes(text), limit, "The text");
const count = (text: Uint8Array): number => text.filter((byte) => [0x2c, 0x5b, 0x7b].includes(byte)).length;

describe("JSON of many values", () => {
  it.each(["0,", "[],", "{},", '"",', '{"":0},'])("is refused before it is parsed, of %s", (unit) => {
    const text = bytes(`[${unit.repeat(MAX_JSON_VALUES + 1)}0]`);
    const refused = { code: "JSON_TOO_LARGE", message: `The text: more than the ${MAX_JSON_VALUES} values allowed.` };
    expect(() => parseJsonBounded(text, limit)).toThrow(expect.objectContaining(refused));
    expect(() => parseCanonicalJson(text, limit, "The text")).toThrow(expect.objectContaining(refused));
  });

  it("is read up to the bound", () => {
    // One `[`, and a `,` before each but the first.
    const most = Array.from({ length: MAX_JSON_VALUES }, () => 0);
    expect(parseJsonBounded(bytes(JSON.stringify(most)), limit)).toHaveLength(MAX_JSON_VALUES);
    expect(hasTooManyValues(bytes(JSON.stringify([...most, 0])))).toBe(true);
  });

  it("is read where it is a receipts file of 1,024 workers with 1,024 ranges each, or as many rewards as fit", () => {
    const range = { count: 1, start: 4_000_000_000 };
    const fields = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`field ${i}`, 0]));
    const entry = bytes(canonicalJson({ ...fields, ranges: Array.from({ length: 1_024 }, () => range) }));
    expect(1_024 * (count(entry) + 1)).toBeLessThan(MAX_JSON_VALUES);
    const reward = bytes(`${canonicalJson({ account: `0x${"0".repeat(40)}`, amount: "1" })},`);
    expect((limit / reward.length) * count(reward)).toBeLessThan(MAX_JSON_VALUES);
  });
});

describe("JSON with a long name of a field", () => {
  const long = "n".repeat(MAX_JSON_NAME_BYTES + 1);
  const refused = {
    code: "JSON_TOO_LARGE",
    message: `The text: a name longer than the ${MAX_JSON_NAME_BYTES} bytes allowed.`,
  };

  it.each([
    `{"${long}":0}`,
    `[{"a":"\\"","b":{"${long}" \n\t\r :0}}]`,
    `{"a\\\\":"\\\\","\\"${long}":0}`,
    `{"${'\\"'.repeat(MAX_JSON_NAME_BYTES / 2 + 1)}":0}`,
  ])("is refused before it is parsed", (text) => {
    expect(() => parseJsonBounded(bytes(text), limit)).toThrow(expect.objectContaining(refused));
    expect(() => read(text)).toThrow(expect.objectContaining(refused));
  });

  it.each([
    `{"${long.slice(1)}":0}`,
    `["${long}","${long}"]`,
    `{"a":"${long}","b":"${long}:"}`,
    `{"a":"\\"${long}\\":","b":["${long}\\\\"]}`,
    `"${long}`,
  ])("is not meant where it is a value, or as long as is allowed", (text) => {
    expect(hasLongNames(bytes(text))).toBe(false);
  });
});

describe("a document", () => {
  it.each(texts.filter(([, canonical]) => canonical))("%j is canonical", (text) => {
    expect(read(text)).toEqual(JSON.parse(text));
  });

  it.each(texts.filter(([, canonical]) => !canonical))("%j is none: it is not canonical", (text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code: "JSON_NOT_CANONICAL" }));
  });

  it.each(levels.filter(([, due]) => due))("in %i levels is one", (count) => {
    expect(read(inLevels(count))).toHaveLength(1);
  });

  it.each(levels.filter(([, due]) => !due))("in %i levels is none", (count) => {
    expect(() => read(inLevels(count))).toThrow(expect.objectContaining({ code: "JSON_INVALID" }));
  });

  it("in more levels than allowed is none, whatever these are of", () => {
    const text = `${'{"a":'.repeat(32)}{}${"}".repeat(32)}`;
    const message = "The text: JSON of more than the 32 levels allowed.";
    expect(() => read(text)).toThrow(expect.objectContaining({ code: "JSON_INVALID", message }));
  });
});
