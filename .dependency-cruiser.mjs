/**
 * The arrows of docs/architecture.md, checked by `npm run check`: which room may import which, that a room is entered by its
 * index.ts, and what stays free of Node. A new room is one row of `rooms`.
 */

import { Visitor } from "@swc/core/Visitor.js";

// swc parses `using`; its own visitor throws at it (1.16).
// oxlint-disable-next-line typescript/unbound-method -- called with its own `this` below
const { visitStatement } = Visitor.prototype;
Visitor.prototype.visitStatement = function visitAny(statement) {
  return statement.type === "UsingDeclaration"
    ? { ...statement, decls: this.visitVariableDeclarators(statement.decls) }
    : visitStatement.call(this, statement);
};

/** Each room of offchain/src and the rooms that it may import. */
const below = {
  base: [],
  engine: ["base"],
  diloco: ["base"],
  storage: ["base"],
  data: ["base", "storage"],
};
below.service = ["base", "engine", "diloco", "data", "storage"];
below.chain = [...below.service, "service"];
below.run = [...below.chain, "chain"];
below.coordinator = [...below.run, "run"];
below.worker = below.coordinator;
below.validator = below.coordinator;
below.market = below.coordinator;
below.localnet = [...below.coordinator, "coordinator", "worker", "validator", "market"];
below.cli = [...below.localnet, "localnet"];

/** All of them: test/deploy/arrows.test.ts compares them with the folders and with docs/architecture.md. */
export const rooms = Object.keys(below);
/** Only localnet deploys. */
const deployers = ["localnet"];

/** Rooms that a browser tab runs, but for their node/ folders; test/offchain/browser bundles them. */
const browser = ["base", "engine", "diloco", "data", "storage", "worker"];
const underNode = "/node/|^offchain/src/base/platform/node\\.ts$";
const latePackages = "node_modules/(ethers|fastify|@fastify|prom-client|pino-pretty)/";
const nodePackages = "node_modules/(onnxruntime-node|better-sqlite3|kysely|pino|fastify|@napi-rs|@fastify)/";

const room = (name) => `^offchain/src/${name}/`;
const oneOf = (names) => `^offchain/src/(${names.join("|")})/`;

const arrows = rooms.map((name) => ({
  name: `arrows-of-${name}`,
  comment: `The arrows of docs/architecture.md do not let ${name} import this room.`,
  severity: "error",
  from: { path: room(name) },
  to: { path: oneOf(rooms.filter((other) => other !== name && !below[name].includes(other)).concat("none")) },
}));

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    ...arrows,
    {
      name: "rooms-have-one-door",
      comment: "A room is entered by its index.ts, under Node by that of its node/ folder too.",
      severity: "error",
      from: { path: "^offchain/src/([^/]+)/" },
      to: {
        path: "^offchain/src/[^/]+/",
        pathNot: [
          "^offchain/src/$1/",
          "^offchain/src/[^/]+/index\\.ts$",
          "^offchain/src/(base|engine)/core\\.ts$",
          "^offchain/src/[^/]+/node/index\\.ts$",
          "^offchain/src/engine/runtime/(browser|node)/index\\.ts$",
        ],
      },
    },
    {
      name: "engine-is-lean",
      comment:
        "What engine's process loads beside a stranger's program is small: it takes base by core.ts (types from anywhere).",
      severity: "error",
      from: { path: room("engine") },
      to: { path: "^offchain/src/base/", pathNot: "^offchain/src/base/core\\.ts$" },
    },
    {
      name: "help-is-lean",
      comment: "What stands before the command that is asked for: of the rooms base's core alone, types from anywhere.",
      severity: "error",
      from: { path: "^offchain/src/cli/((main|program|columns|command)|commands/(index|outlines))\\.ts$" },
      to: {
        path: ["^offchain/src/", "node_modules/"],
        pathNot: [
          "^offchain/src/base/core\\.ts$",
          "^offchain/src/cli/((program|columns|command)|commands/(index|outlines))\\.ts$",
          "node_modules/commander/",
          "^sdk/",
        ],
        dynamic: false,
        dependencyTypesNot: ["type-only"],
      },
    },
    {
      name: "large-packages-load-late",
      comment: "Every command would pay for them: await import() where they are used first.",
      severity: "error",
      from: { path: "^offchain/src/" },
      to: { path: latePackages, dynamic: false, dependencyTypesNot: ["type-only"] },
    },
    {
      name: "rooms-of-a-browser",
      comment: "These rooms run in a browser too: nothing of Node's, which lies in node/ folders.",
      severity: "error",
      from: { path: oneOf(browser), pathNot: underNode },
      to: { path: ["/node/", nodePackages], pathNot: "^offchain/src/base/platform/" },
    },
    {
      name: "rooms-of-a-browser-have-no-node",
      severity: "error",
      from: { path: oneOf(browser), pathNot: underNode },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "rooms-are-in-the-map",
      comment: "A folder of offchain/src has its row in this file and in docs/architecture.md.",
      severity: "error",
      from: {},
      to: { path: "^offchain/src/[^/]+/", pathNot: oneOf(rooms) },
    },
    {
      name: "only-localnet-deploys",
      severity: "error",
      from: { path: "^offchain/", pathNot: oneOf(deployers) },
      to: { path: "^deploy/" },
    },
    {
      name: "commands-know-no-localnet",
      comment: "What npm start runs is put together by cli/up; every other command works on any run.",
      severity: "error",
      from: { path: "^offchain/src/cli/commands/" },
      to: { path: "^offchain/src/localnet/" },
    },
    {
      name: "contracts-through-the-sdk",
      comment: "offchain reaches the contracts through @cotrain/sdk alone.",
      severity: "error",
      from: { path: "^offchain/" },
      to: { path: "^(contracts|artifacts)/|^sdk/src/abis/" },
    },
    {
      name: "sdk-stands-alone",
      comment: "The SDK is browser-safe and knows nothing of offchain/.",
      severity: "error",
      from: { path: "^sdk/src/" },
      to: { path: "^(offchain|deploy|test)/" },
    },
    {
      name: "sdk-is-browser-safe",
      severity: "error",
      from: { path: "^sdk/src/" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "sources-know-no-tests",
      severity: "error",
      from: { path: "^(sdk|offchain|deploy)/" },
      to: { path: "^test/" },
    },
    {
      name: "no-circles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
  ],
  options: {
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: "(^|/)(node_modules|artifacts)/" },
    exclude: { path: "(^|/)(dist|cache)/" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["cotrain-source", "import", "node", "default"],
      extensions: [".ts", ".mjs", ".js", ".json"],
    },
  },
};
