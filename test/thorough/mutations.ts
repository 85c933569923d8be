/**
 * What can be taken out of a contract without a test noticing, each behind a switch: the sources are rewritten so that one build
 * holds every mutation, and `block.coinbase`, which a run of the tests chooses, says which of them is on. All is derived from the
 * compiler's syntax tree:
 *
 * - guards: a condition, each alternative of it by itself, a revert, a call that only may revert, a modifier where it is used;
 * - boundaries: `<` against `<=`, `>` against `>=`, and the 1 in `+ 1` and `- 1`;
 * - effects: a statement that writes, deletes, mints or calls;
 * - events: an `emit`.
 */
import { createRequire } from "node:module";

interface Compiler {
  readonly version: () => string;
  readonly compile: (input: string, callbacks?: { import: (path: string) => { contents: string } }) => string;
}

/** The compiler from npm that hardhat.config.ts names too. */
export const solc = createRequire(import.meta.url)("solc") as Compiler;

export interface Mutation {
  /** The value of `block.coinbase` that turns it on. */
  readonly number: number;
  readonly file: string;
  readonly line: number;
  /** The function it stands in. */
  readonly place: string;
  /** What is otherwise than written, on one line; two of one place never read alike. */
  readonly what: string;
}

interface Mutated {
  readonly source: string;
  readonly mutations: readonly Mutation[];
}

/** Where the switch lies among the sources. */
export const SWITCH = "mutations/Switch.sol";

/** The value of `block.coinbase` that turns nothing on, and reports each mutation that is come to. */
export const RECORD = 2n ** 160n - 1n;

/**
 * Reports go to the address at which EDR listens for coverage. The casts are EDR's own trick: `pure` functions have the switch too.
 * A step of a loop burns gas, all that a precompile is called with wrongly: a loop that a mutation made endless ends after some
 * hundred steps, and a trace of them fits into memory.
 */
export const switchSource = `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;
library Switch__ {
    function on(uint256 mutation) internal pure returns (bool) {
        return _pure(_on)(mutation);
    }
    function off(uint256 mutation) internal pure returns (bool) {
        return !_pure(_on)(mutation);
    }
    function step() internal pure returns (bool) {
        return _pure(_step)(${1 << 17});
    }
    function _step(uint256 burnt) private view returns (bool yes) {
        assembly ("memory-safe") { yes := iszero(staticcall(burnt, 0x0a, 0, 0, 0, 0)) }
    }
    function _on(uint256 mutation) private view returns (bool yes) {
        assembly ("memory-safe") {
            let chosen := coinbase()
            yes := eq(chosen, mutation)
            if eq(chosen, ${RECORD}) {
                mstore(0, mutation)
                pop(staticcall(gas(), 0xc0bEc0BEc0BeC0bEC0beC0bEC0bEC0beC0beC0BE, 0, 32, 0, 0))
            }
        }
    }
    function _pure(
        function(uint256) view returns (bool) f
    ) private pure returns (function(uint256) pure returns (bool) g) {
        assembly ("memory-safe") { g := f }
    }
}
`;

interface Node {
  readonly nodeType: string;
  readonly id: number;
  readonly src: string;
  readonly [field: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "nodeType" in value && "src" in value;

const BOUNDARIES: Readonly<Record<string, string>> = { "<": "<=", "<=": "<", ">": ">=", ">=": ">" };
const STATEMENTS = new Set(["ExpressionStatement", "EmitStatement", "RevertStatement"]);
/** Types and defaults are no code that runs, and assembly is the compiler's to read. */
const AS_WRITTEN = new Set([
  "ParameterList",
  "InlineAssembly",
  "StructDefinition",
  "EventDefinition",
  "ErrorDefinition",
]);

/** Rewrites a source; its mutations are numbered from `first` on. */
export function mutate(file: string, source: string, first: number): Mutated {
  if (/\bcoinbase\b/.test(source)) throw new TypeError(`${file} reads block.coinbase, which the switch needs.`);
  const rewriting = new Rewriting(file, source, first);
  const rewritten = rewriting.render(syntaxTree(file, source));
  const mutations = rewriting.mutations.toSorted((a, b) => a.line - b.line || a.number - b.number);
  if (mutations.length === 0) return { source, mutations };
  return { source: `${fromBytes(rewritten)}\nimport {Switch__} from "${SWITCH}";\n`, mutations };
}

function syntaxTree(file: string, source: string): Node {
  const settings = { stopAfter: "parsing", outputSelection: { "*": { "": ["ast"] } } };
  const input = { language: "Solidity", sources: { [file]: { content: source } }, settings };
  const output = JSON.parse(solc.compile(JSON.stringify(input))) as {
    errors?: readonly { readonly formattedMessage: string }[];
    sources?: Record<string, { readonly ast: Node }>;
  };
  const ast = output.sources?.[file]?.ast;
  if (ast === undefined) throw new TypeError(`${file} cannot be read: ${output.errors?.[0]?.formattedMessage}`);
  return ast;
}

// The compiler counts bytes: one character for each of them while the source is rewritten.
const toBytes = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
const fromBytes = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8");

class Rewriting {
  readonly mutations: Mutation[] = [];
  readonly #file: string;
  readonly #source: string;
  readonly #first: number;
  /** Code that is written twice, as one of a modifier's functions is, has its mutations once. */
  readonly #numbers = new Map<string, number>();
  readonly #seen = new Map<string, number>();
  /** Statements that go with the condition before them. */
  readonly #conditional = new Set<number>();
  /** Local names for what lies in storage or calldata: the compiler refuses to leave one without a value. */
  #pointers = new Set<unknown>();
  #place = "";

  constructor(file: string, source: string, first: number) {
    this.#file = file;
    this.#source = toBytes(source);
    this.#first = first;
  }

  render(node: Node): string {
    if (AS_WRITTEN.has(node.nodeType) || node["stateVariable"] === true) return this.#text(node);
    switch (node.nodeType) {
      case "FunctionDefinition":
      case "ModifierDefinition":
        return this.#definition(node);
      case "IfStatement":
      case "WhileStatement":
      case "Conditional":
        return this.#choice(node);
      case "BinaryOperation":
        return this.#operation(node);
      case "ForStatement":
      case "DoWhileStatement":
        return this.#loop(node);
      default:
        return STATEMENTS.has(node.nodeType) ? this.#statement(node) : this.#inner(node);
    }
  }

  #definition(node: Node): string {
    this.#place = node["kind"] === "constructor" ? "constructor" : String(node["name"] || node["kind"]);
    this.#pointers = new Set();
    for (const each of within(node)) {
      if (["storage", "calldata"].includes(String(each["storageLocation"]))) this.#pointers.add(each["name"]);
    }
    const modifiers = node["kind"] === "function" ? ((node["modifiers"] as Node[] | undefined) ?? []) : [];
    if (modifiers.length === 0 || !isNode(node["body"])) return this.#inner(node);
    return this.#withoutModifiers(node, node["body"], modifiers);
  }

  /** The function calls a copy of itself that has all its modifiers, or the one that lacks the modifier that is taken out. */
  #withoutModifiers(node: Node, body: Node, modifiers: readonly Node[]): string {
    // A parameter without a name is one that the body does not read.
    const named = (node["parameters"] as { parameters: Node[] }).parameters.filter((each) => each["name"] !== "");
    const returns = node["returnParameters"] as Node & { parameters: Node[] };
    const copies: string[] = [];
    const call = (without: Node | undefined): string => {
      const name = `${this.#place}__${node.id}_${without?.id ?? 0}`;
      const mutability = node["stateMutability"] === "nonpayable" ? "" : String(node["stateMutability"]);
      const kept = modifiers.filter((each) => each !== without).map((each) => this.#inner(each));
      const results = returns.parameters.length > 0 ? `returns ${this.#text(returns)}` : "";
      const parameters = named.map((each) => this.#text(each)).join(", ");
      copies.push(
        `function ${name}(${parameters}) private ${mutability} ${kept.join(" ")} ${results} ${this.render(body)}`,
      );
      const called = `${name}(${named.map((each) => String(each["name"])).join(", ")})`;
      return returns.parameters.length > 0 ? `return ${called};` : `{ ${called}; return; }`;
    };
    const choices = modifiers.map(
      (each) => `if (Switch__.on(${this.#number(each, `without ${this.#line(each)}`)})) ${call(each)}`,
    );
    const last = call(undefined);
    const [start] = this.#range(node);
    let head = this.#source.slice(start, this.#range(body)[0]);
    for (const each of modifiers.toReversed()) {
      const [from, to] = this.#range(each);
      head = head.slice(0, from - start) + head.slice(to - start);
    }
    return `${head}{ ${choices.join(" ")} ${last} }\n${copies.join("\n")}`;
  }

  #statement(node: Node): string {
    const inner = this.#inner(node);
    const left = isNode(node["expression"]) ? node["expression"]["leftHandSide"] : undefined;
    const pointer = isNode(left) && left.nodeType === "Identifier" && this.#pointers.has(left["name"]);
    if (this.#conditional.has(node.id)) return inner;
    if (pointer) return `${inner};`;
    const number = this.#number(node, `without ${this.#line(node)}`);
    return `{ if (Switch__.off(${number})) ${inner}; }`;
  }

  /** A condition that never holds, and where there is another way, one that always does. */
  #choice(node: Node): string {
    const condition = node["condition"] as Node;
    const body = node["trueBody"];
    const single = isNode(body) && body.nodeType === "Block" ? (body["statements"] as Node[]) : [body];
    const twoWays = node.nodeType === "Conditional" || isNode(node["falseBody"]);
    // Without its condition's holding it is not come to either.
    if (!twoWays && single.length === 1 && isNode(single[0])) this.#conditional.add(single[0].id);
    // An alternative is taken out by itself.
    const alternatives = condition.nodeType === "BinaryOperation" && condition["operator"] === "||";
    let rendered = this.render(condition);
    if (!alternatives) rendered = this.#never(condition, rendered);
    if (twoWays) rendered = this.#always(condition, rendered);
    if (node.nodeType === "WhileStatement") rendered = `Switch__.step() && ${rendered}`;
    return this.#inner(node, new Map([[condition, rendered]]));
  }

  #loop(node: Node): string {
    const [condition, each] = [node["condition"], node["loopExpression"]];
    // It is a statement, and none can be put around it.
    if (isNode(each)) this.#conditional.add(each.id);
    if (!isNode(condition)) return this.#inner(node);
    return this.#inner(node, new Map([[condition, `Switch__.step() && (${this.render(condition)})`]]));
  }

  #never(node: Node, rendered: string): string {
    return `(Switch__.off(${this.#number(node, `false for ${this.#line(node)}`)}) && (${rendered}))`;
  }

  #always(node: Node, rendered: string): string {
    return `(Switch__.on(${this.#number(node, `true for ${this.#line(node)}`)}) || (${rendered}))`;
  }

  #operation(node: Node): string {
    const operator = String(node["operator"]);
    const [left, right] = [node["leftExpression"], node["rightExpression"]] as [Node, Node];
    if (operator === "||" || operator === "&&") {
      const sides = [left, right].map((side): [Node, string] => {
        const rendered = this.render(side);
        if (side.nodeType === "BinaryOperation" && side["operator"] === operator) return [side, rendered];
        return [side, operator === "||" ? this.#never(side, rendered) : this.#always(side, rendered)];
      });
      return this.#inner(node, new Map(sides));
    }
    const written = this.#inner(node);
    const choose = (what: string, instead: string): string =>
      `(Switch__.on(${this.#number(node, what)}) ? ${instead} : ${written})`;
    const boundary = BOUNDARIES[operator];
    if (boundary !== undefined)
      return choose(`${boundary} in ${this.#line(node)}`, `${this.render(left)} ${boundary} ${this.render(right)}`);
    const isOne = (side: Node): boolean => side.nodeType === "Literal" && this.#text(side) === "1";
    if ((operator === "+" || operator === "-") && isOne(right) !== (operator === "+" && isOne(left)))
      return choose(`no 1 in ${this.#line(node)}`, this.render(isOne(right) ? left : right));
    return written;
  }

  /** A node as it stands, with what is rewritten in it. */
  #inner(node: Node, instead: ReadonlyMap<Node, string> = new Map()): string {
    const [start, end] = this.#range(node);
    let text = "";
    let at = start;
    for (const child of childrenOf(node).toSorted((a, b) => this.#range(a)[0] - this.#range(b)[0])) {
      const [from] = this.#range(child);
      if (from < at) continue;
      text += this.#source.slice(at, from) + (instead.get(child) ?? this.render(child));
      at = this.#end(child);
    }
    return text + this.#source.slice(at, Math.max(at, end));
  }

  #number(node: Node, what: string): number {
    const key = `${node.id} ${what}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#first + this.mutations.length;
    this.#numbers.set(key, number);
    const place = `${this.#place}: ${what}`;
    const times = (this.#seen.get(place) ?? 0) + 1;
    this.#seen.set(place, times);
    const line = this.#source.slice(0, this.#range(node)[0]).split("\n").length;
    const told = fromBytes(times === 1 ? what : `${what} (${times})`);
    this.mutations.push({ number, file: this.#file, line, place: this.#place, what: told });
    return number;
  }

  #range(node: Node): [start: number, end: number] {
    const [start = 0, length = 0] = node.src.split(":").map(Number);
    return [start, start + length];
  }

  /** Where what is rendered of a node ends: a statement with its semicolon, which to the compiler stands behind it. */
  #end(node: Node): number {
    const [, end] = this.#range(node);
    if (STATEMENTS.has(node.nodeType)) return this.#conditional.has(node.id) ? end : this.#source.indexOf(";", end) + 1;
    const last = node.nodeType === "Conditional" ? undefined : (node["falseBody"] ?? node["trueBody"] ?? node["body"]);
    return isNode(last) ? Math.max(end, this.#end(last)) : end;
  }

  #text(node: Node): string {
    return this.#source.slice(...this.#range(node));
  }

  #line(node: Node): string {
    return this.#text(node).replaceAll(/\s+/g, " ");
  }
}

const childrenOf = (node: Node): Node[] =>
  Object.values(node).flatMap((value) => (Array.isArray(value) ? value.flat() : [value]).filter(isNode));

const within = (node: Node): Node[] => [node, ...childrenOf(node).flatMap(within)];
