/** Defences of `deploy`. */
import type { Breakage } from "./breakage.ts";

export const deploy: readonly Breakage[] = [
  {
    name: "what npm started goes on when npm has ended",
    file: "deploy/bootstrap.mjs",
    text: "  endWithParent();\n",
    instead: "",
    tests: ["test/deploy/bootstrap.test.ts"],
  },
  {
    name: "SIGINT to the process that npm runs, and to no other, ends nothing",
    file: "deploy/bootstrap.mjs",
    text: 'if (process.platform !== "win32") child.kill("SIGTERM");',
    instead: "",
    tests: ["test/deploy/bootstrap.test.ts"],
  },
  {
    name: "Ctrl-C counts twice, and ends at once",
    file: "deploy/bootstrap.mjs",
    text: 'if (process.platform !== "win32") child.kill("SIGTERM");',
    instead: 'child.kill("SIGINT");',
    tests: ["test/deploy/bootstrap.test.ts"],
  },
  {
    name: "a deployment whose contracts obey others than they should is refused",
    file: "deploy/deployment.ts",
    text: "  await requireWired(publicClient, pick(singletons), at);\n",
    instead: "",
    tests: ["test/deploy/deployment.test.ts"],
  },
  {
    name: "another contract than the escrow's own making holds what renters deposit",
    file: "deploy/deployment.ts",
    text: "    ...(await escrowWiring(client, { escrow: computeEscrow })),\n",
    instead: "",
    tests: ["test/deploy/deployment.test.ts"],
  },
  {
    name: "open channels are left behind when another contract is deployed anew",
    file: "deploy/deployment.ts",
    text: "const of = isAlone(key) ? definitionDigest(compiled, [key], {}) : definition;",
    instead: "const of = definition;",
    tests: ["test/deploy/deployment.test.ts"],
  },
  {
    name: "a deployment sends more than a block takes, of which Anvil drops what does not fit",
    file: "deploy/deployer.ts",
    text: "    if (taken + limit > room) await arrive();\n",
    instead: "",
    tests: ["test/deploy/deployment.test.ts"],
  },
];
