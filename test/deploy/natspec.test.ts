/** Errors, events and structs say what each of their parameters is. Of functions and events solhint sees to it; it reads no errors. */
import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const solc = createRequire(import.meta.url)("solc") as { readonly compile: (input: string) => string };

interface Node {
  readonly nodeType: string;
  readonly name?: string;
  readonly nodes?: readonly Node[];
  readonly documentation?: { readonly text: string };
  readonly parameters?: { readonly parameters: readonly Node[] };
  readonly members?: readonly Node[];
}

const documented = new Set(["ErrorDefinition", "EventDefinition", "StructDefinition"]);

/** What lacks a notice, or has other `@param` than parameters. */
function gapsOf(source: string): string[] {
  const settings = { stopAfter: "parsing", outputSelection: { "*": { "": ["ast"] } } };
  const input = { language: "Solidity", sources: { source: { content: source } }, settings };
  const { sources } = JSON.parse(solc.compile(JSON.stringify(input))) as { sources: { source: { ast: Node } } };
  const { nodes = [] } = sources.source.ast;
  return [...nodes, ...nodes.flatMap((node) => node.nodes ?? [])]
    .filter(({ nodeType }) => documented.has(nodeType))
    .flatMap(({ name = "", documentation, parameters, members }) => {
      const text = documentation?.text ?? "";
      const due = (parameters?.parameters ?? members ?? []).map((parameter) => parameter.name);
      const said = [...text.matchAll(/@param (\w+) \S/g)].map((match) => match[1]);
      if (!text.includes("@notice ")) return [`${name} has no @notice`];
      return said.join() === due.join() ? [] : [`${name} explains (${said.join(", ")}), has (${due.join(", ")})`];
    });
}

describe("NatSpec", () => {
  it.each(globSync("contracts/interfaces/*.sol", { cwd: root }))("of %s explains every parameter", (file) => {
    expect(gapsOf(readFileSync(`${root}${file}`, "utf8"))).toEqual([]);
  });

  it.each([
    ["an error", "error A(uint256 x);"],
    ["an event", "event A(uint256 x);"],
    ["a struct", "struct A { uint256 x; }"],
    ["what is within a contract", "interface I {\n /// @notice What it is.\n error A(uint256 x);\n}"],
    ["another name", "/// @param y Another.\nerror A(uint256 x);"],
  ])("of %s is missed", (_, source) => {
    const text = source.startsWith("interface") ? source : `/// @notice What it is.\n${source}`;
    expect(gapsOf(text)).toEqual([expect.stringMatching(/^A explains/)]);
    expect(gapsOf(source.replace(/\/\/\/ .*\n/, ""))).toEqual(["A has no @notice"]);
  });
});
