/** Defences of `base`. */
import type { Breakage } from "./breakage.ts";

export const base: readonly Breakage[] = [
  {
    name: "text is shown in whatever order a stranger gives it, and hidden text is not seen",
    file: "offchain/src/base/printable.ts",
    text: "|(?![${JOINERS}])[${SHAPELESS}]",
    instead: "",
    tests: ["test/attack/terminal.test.ts"],
  },
  {
    name: "a letter without a shape that Unicode calls no filler hides text",
    file: "offchain/src/base/printable.ts",
    text: "Default_Ignorable_Code_Point}\\u2800",
    instead: "Default_Ignorable_Code_Point}",
    tests: ["test/attack/terminal.test.ts"],
  },
  {
    name: "whoever reads JSON takes names of whatever length",
    file: "offchain/src/base/readers.ts",
    text: "if (hasLongNames(bytes)) {",
    instead: "if (hasLongNames(bytes.subarray(0, 1))) {",
    tests: ["test/offchain/base/json.test.ts"],
  },
  {
    name: "JSON of any number of values is parsed",
    file: "offchain/src/base/readers.ts",
    text: "if (hasTooManyValues(bytes)) {",
    instead: "if (bytes.length < 0) {",
    tests: ["test/offchain/base/json.test.ts", "test/offchain/run/readHeads.test.ts"],
  },
  {
    name: "a document whose bytes are not its canonical JSON is read",
    file: "offchain/src/base/readers.ts",
    text: "if (!isCanonicalJson(text, value)) throw",
    instead: "if (!isCanonicalJson(text, value) && bytes.length < 0) throw",
    tests: ["test/offchain/base/json.test.ts", "test/offchain/run/readHeads.test.ts"],
  },
  {
    name: "JSON of any number of levels is read",
    file: "offchain/src/base/readers.ts",
    text: "if (levels === 0) return true;",
    instead: "if (levels < -1_024) return true;",
    tests: ["test/offchain/base/json.test.ts"],
  },
  {
    name: "a file that is made once takes the place of another's",
    file: "offchain/src/base/node/files.ts",
    text: "await link(temporary, path).catch(",
    instead: "await rename(temporary, path).catch(",
    tests: ["test/offchain/base/durable.test.ts", "test/offchain/service/persistence/keystore.test.ts"],
  },
  {
    name: "a file whose write is refused is new all the same",
    file: "offchain/src/base/node/files.ts",
    text: "    await using opened = await openDirectory(directory);\n    const placed = await place(temporary);\n",
    instead: "    const placed = await place(temporary);\n    await using opened = await openDirectory(directory);\n",
    tests: ["test/offchain/base/durable.test.ts"],
  },
  {
    name: "a file that a process left empty, where there are no hard links, is never made",
    file: "offchain/src/base/node/files.ts",
    text: "|| !(await isLeftEmpty(path, temporary))) throw error;",
    instead: "|| path !== temporary) throw error;",
    tests: ["test/offchain/base/durable.test.ts"],
  },
  {
    name: "where there are no hard links, one takes the name that another has just taken",
    file: "offchain/src/base/node/files.ts",
    text: " && own.mtimeMs - there.mtimeMs > LEFT_EMPTY_MS;",
    instead: " && own.mtimeMs > 0;",
    tests: ["test/offchain/base/durable.test.ts"],
  },
  {
    name: "of two that find a file that was left empty, the second replaces what the first has made",
    file: "offchain/src/base/node/files.ts",
    text: "if (!(await isLeftEmpty(path, temporary))) throw taken;",
    instead: "if (path === temporary) throw taken;",
    tests: ["test/offchain/base/durable.test.ts"],
  },
  {
    name: "several replace a file that was left empty at once",
    file: "offchain/src/base/node/files.ts",
    text: 'await (await open(lock, "wx", 0o600)).close();',
    instead: 'await (await open(lock, "w", 0o600)).close();',
    tests: ["test/offchain/base/durable.test.ts"],
  },
];
