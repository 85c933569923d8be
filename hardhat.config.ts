import { createRequire } from "node:module";
import { defineConfig } from "hardhat/config";

/** The compiler of all that is deployed: the pragmas of its sources and the `solc` of package.json are this one. */
export const compiler = "0.8.37";

/** Interfaces and tests are for any recent one, so that other contracts can import them; solhint knows it too. */
export const recentCompilers = "^0.8.30";

/** How it compiles all that is deployed. */
export const settings = { evmVersion: "osaka", optimizer: { enabled: true, runs: 200 } } as const;

// The compiler comes from npm, so that a build needs no download. Each profile names it: a config without profiles
// would lose evmVersion in production.
const profile = {
  version: compiler,
  path: createRequire(import.meta.url).resolve("solc/soljson.js"),
  settings,
};

/** How `npm test` runs the Solidity tests. Before a release: `npx hardhat test solidity --test-profile thorough`. */
export const suite = {
  fsPermissions: { readDirectory: ["test/vectors"] },
  invariant: { runs: 32, depth: 32, failOnRevert: true },
  fuzz: { runs: 256 },
};

export default defineConfig({
  paths: { sources: "contracts", tests: { solidity: "test/contracts" } },
  solidity: { profiles: { default: profile, production: profile } },
  networks: { hardhat: { type: "edr-simulated", hardfork: "osaka" } },
  test: {
    solidity: {
      profiles: {
        default: suite,
        thorough: { ...suite, invariant: { runs: 256, depth: 100, failOnRevert: true }, fuzz: { runs: 10_000 } },
      },
    },
  },
});
