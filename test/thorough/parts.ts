/** The parts of `npm run thorough`: what each looks at, what it tries one by one, and how one try ends. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

import { ensureBuilt } from "../../deploy/artifacts.ts";
import { long } from "../processFiles.ts";
import { attacks } from "./attacks.ts";
import { breakages } from "./breakages.ts";
import { copyTree, root } from "./copy.ts";
import { openCoverage } from "./coverage.ts";
import { ToolMissing } from "./foundry.ts";
import { digestsOf, readRecords, writeRecords } from "./records.ts";
import { openSlither } from "./slither.ts";
import { openSymbolic, symbolicItems } from "./symbolic.ts";
import { idOf, mutateAll, openSweep, type Sweep, soliditySources, tryMutation } from "./sweep.ts";
import { processorItems, tryProcessor } from "./processors.ts";
import { largeSteps, oneLargeRound } from "./large.ts";
import { openTestRunner } from "./testRunner.ts";
import { itemsOf, openAttacks } from "./tryAttack.ts";
import { type Found, tryBreakage } from "./tryBreakage.ts";
import { trainLong } from "./training.ts";

/** A part that is being worked on. */
interface Work {
  /** @returns what is wrong, if something is */
  readonly attempt: (item: string) => Promise<string | undefined>;
  /** Writes down that an item was as it should be, where items are recorded one by one. */
  readonly record?: (item: string, seconds: number) => void;
  readonly close: () => Promise<void> | void;
}

export interface Part {
  readonly name: string;
  readonly what: string;
  /** Below these lies all that its result depends on. Where items are recorded one by one: digests of what each looks at. */
  readonly sources: readonly string[] | (() => ReadonlyMap<string, string>);
  /** What is tried, one by one; a run that is interrupted goes on behind the last. */
  readonly items: () => readonly string[];
  readonly open: () => Work | Promise<Work>;
  /** How many of its items `.ci/run` tries, or an item that stands for it there. */
  readonly sample?: number | string;
  /** What a sample is drawn from; all items where nothing is said. */
  readonly sampled?: () => readonly string[];
}

/** What took longer when it was tried is no matter for `.ci/run`. */
const SAMPLED_SECONDS = 60;

const nothing = (): void => undefined;

/** Runs an entry of deploy/bootstrap.mjs with its output shown; answers what is wrong. */
function entry(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string | undefined> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [join(root, "deploy/bootstrap.mjs"), ...args], {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, ...environment },
    });
    child.on("error", fail);
    child.on("close", (code) => done(code === 0 ? undefined : `"${args.join(" ")}" ended with ${code}`));
  });
}

/** Four processes that take what they can get of the machine. */
function busy(): ChildProcess[] {
  return [1, 2, 3, 4].map(() => spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }));
}

/** A part for which this machine lacks a program says so of each item, and how to get it. */
function orMissing(open: () => Work): Work {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof ToolMissing)) throw error;
    return { attempt: () => Promise.resolve(error.message), close: nothing };
  }
}

async function openBreakages(): Promise<Work> {
  // The copy has what is built here: a test in it would compile the contracts first, in the time that it has itself.
  await ensureBuilt();
  const copy = copyTree();
  const runner = openTestRunner(copy);
  const rows = new Map(breakages.map((breakage) => [breakage.name, breakage]));
  // Of the copy: this tree may change meanwhile.
  const digests = digestsOf(breakages, copy.directory);
  const found = new Map<string, Found>();
  return {
    attempt: async (item) => {
      const breakage = rows.get(item);
      if (breakage === undefined) return "there is no such row";
      const answer = await tryBreakage(runner, breakage, readRecords()[item]?.noticed);
      if ("problem" in answer) return answer.problem;
      found.set(item, answer);
      return undefined;
    },
    record: (item, seconds) =>
      writeRecords({
        ...readRecords(),
        [item]: { of: digests.get(item) ?? "", seconds, ...(found.get(item) ?? { noticed: [] }) },
      }),
    close: () => {
      runner.close();
      copy.remove();
    },
  };
}

const code = ["sdk", "offchain", "deploy", "package-lock.json"];

export const parts: readonly Part[] = [
  {
    name: "guards",
    what: "each guard, boundary, effect and event of the contracts taken out: a Solidity test notices",
    sources: [
      "contracts",
      "test/contracts",
      "test/vectors/protocol.json",
      "hardhat.config.ts",
      "test/thorough/mutations.ts",
      "test/thorough/sweep.ts",
      "test/thorough/equivalents.ts",
    ],
    items: () => mutateAll(soliditySources("contracts")).mutations.map(idOf),
    open: () => {
      const { sources, mutations } = mutateAll(soliditySources("contracts"));
      const known = new Map(mutations.map((mutation) => [idOf(mutation), mutation]));
      let sweep: Promise<Sweep> | undefined;
      return {
        attempt: async (item) => {
          const mutation = known.get(item);
          sweep ??= openSweep(sources, soliditySources("test/contracts"));
          return mutation ? tryMutation(await sweep, mutation) : "there is no such mutation";
        },
        close: nothing,
      };
    },
    sample: 20,
  },
  {
    name: "attacks",
    what: "each defence against a finding or an attack taken out of the contracts: the test that stands for it notices",
    sources: [
      "contracts",
      "test/contracts",
      "hardhat.config.ts",
      "package-lock.json",
      "test/thorough/attacks",
      "test/thorough/attacks.ts",
      "test/thorough/mutations.ts",
      "test/thorough/sweep.ts",
      "test/thorough/tryAttack.ts",
    ],
    items: () => [...itemsOf(attacks).keys()],
    open: () => {
      let opened: ReturnType<typeof openAttacks> | undefined;
      return {
        attempt: async (item) => {
          opened ??= openAttacks(itemsOf(attacks));
          return (await opened)(item);
        },
        close: nothing,
      };
    },
    sample: 20,
  },
  {
    name: "fuzz",
    what: "10,000 runs of each Solidity fuzz test, 256 × 100 of each invariant",
    sources: ["contracts", "test/contracts", "test/vectors/protocol.json", "hardhat.config.ts"],
    items: () => ["all contracts"],
    open: () => {
      const copy = copyTree();
      return {
        attempt: async () => {
          const { code, output } = await copy.run("hardhat", ["test", "solidity", "--test-profile", "thorough"], 60);
          return code === 0 && /\d+ passing/.test(output) ? undefined : output.slice(-1_000);
        },
        close: copy.remove,
      };
    },
  },
  {
    name: "symbolic",
    what: "proofs of claims, budgets and emission, for all values at once: each holds, and breaks without its guards",
    sources: [
      "contracts",
      "test/contracts/symbolic",
      "test/contracts/support/Vm.sol",
      "hardhat.config.ts",
      "test/forge.ts",
      "test/thorough/compilerProgram.ts",
      "test/thorough/foundry.ts",
      "test/thorough/halmos.txt",
      "test/thorough/proofs.ts",
      "test/thorough/symbolic.ts",
    ],
    items: symbolicItems,
    open: () => orMissing(openSymbolic),
  },
  {
    name: "coverage",
    what: "the Solidity tests come to 98% of the contracts' lines and 95% of their branches",
    sources: [
      "contracts",
      "test/contracts",
      "test/vectors/protocol.json",
      "hardhat.config.ts",
      "test/forge.ts",
      "test/thorough/compilerProgram.ts",
      "test/thorough/coverage.ts",
      "test/thorough/foundry.ts",
    ],
    items: () => ["all contracts"],
    open: () => orMissing(openCoverage),
  },
  {
    name: "slither",
    what: "Slither finds nothing in the contracts that is not answered, with the reason",
    sources: [
      "contracts",
      "hardhat.config.ts",
      "test/forge.ts",
      "test/thorough/compilerProgram.ts",
      "test/thorough/findings.ts",
      "test/thorough/foundry.ts",
      "test/thorough/slither.ts",
      "test/thorough/slither.txt",
    ],
    items: () => ["all contracts"],
    open: () => orMissing(openSlither),
  },
  {
    name: "losses",
    what: "long training: held-out loss falls below its bound, and the run verifies",
    sources: ["sdk/src/protocol", "offchain/src", "package-lock.json", "test/thorough/training.ts"],
    items: () => ["0.1m for 10 minutes", "1m for 20 minutes"],
    open: () => ({ attempt: trainLong, close: nothing }),
  },
  {
    name: "large",
    what: "150m takes real steps, and goes through a round of coordinator, worker and validator as processes",
    sources: [
      "sdk/src/protocol",
      "offchain/src",
      "package-lock.json",
      "test/thorough/large.ts",
      "test/bench/engine.ts",
      "test/bench/lightRun.ts",
    ],
    items: () => ["150m: steps", "150m: a round"],
    open: () => ({
      attempt: (item) => (item === "150m: steps" ? largeSteps : oneLargeRound)("150m"),
      close: nothing,
    }),
  },
  {
    name: "processes",
    what: "each of the long tests of real processes, of which .ci/run draws some",
    sources: [...code, "contracts", "test/e2e", "test/processFiles.ts"],
    items: () => long,
    open: () => ({
      // Whoever calls this has all tools that a test needs, or is told which not.
      attempt: (item) => entry(["test", "--project=processes", item], { CI: "true" }),
      close: nothing,
    }),
  },
  {
    name: "loaded",
    what: "npm test passes five times beside four busy loops",
    sources: [...code, "test", "contracts", "vitest.config.ts"],
    items: () => ["first", "second", "third", "fourth", "fifth"],
    open: () => {
      const loops = busy();
      return {
        attempt: () => entry(["test"]),
        close: () => {
          for (const loop of loops) loop.kill("SIGKILL");
        },
      };
    },
  },
  {
    name: "chaos",
    what: "thirty minutes of kill -9 and standstills, then a sound run",
    sources: [...code, "test/e2e/chaos.ts", "test/e2e/harness.ts"],
    items: () => ["30 minutes"],
    open: () => ({ attempt: () => entry(["chaos", "--minutes", "30", "--seed", "30"]), close: nothing }),
  },
  {
    name: "simulations",
    what: "5,000 simulated runs, with faults, of the coordinator's state machine and of the one that posts to the chain",
    sources: [
      "sdk/src/protocol",
      "offchain/src/base",
      "offchain/src/data",
      "offchain/src/coordinator",
      "offchain/src/chain",
      "test/offchain/coordinator",
      "test/offchain/chain",
    ],
    items: () => ["5000 seeds"],
    open: () => ({
      attempt: (item) =>
        entry(
          [
            "test",
            "test/offchain/coordinator/simulation.test.ts",
            "test/offchain/coordinator/liveness.test.ts",
            "test/offchain/chain/postingSimulation.test.ts",
          ],
          {
            COTRAIN_SEEDS: item.replace(" seeds", ""),
          },
        ),
      close: nothing,
    }),
    sample: "400 seeds",
  },
  {
    name: "economy",
    what: "attacks on a model's economy, simulated on the real contracts with 16 seeds: what must hold of each does",
    sources: [
      "contracts",
      "sdk/src/actions",
      "sdk/src/protocol/contribution.ts",
      "deploy",
      "hardhat.config.ts",
      "test/simulation",
    ],
    items: () => ["16 seeds"],
    open: () => ({
      attempt: async (item) => {
        // Hardhat takes a second to load, which other parts can spare.
        const { simulateEconomy } = await import("../simulation/simulate.ts");
        return simulateEconomy(Number.parseInt(item, 10), item === "16 seeds");
      },
      close: nothing,
    }),
    sample: "1 seed",
  },
  {
    name: "processors",
    what: "conformance values: a larger preset's, and those of emulated processors",
    sources: [
      "sdk/src/protocol",
      "offchain/src/base",
      "offchain/src/engine",
      "package-lock.json",
      "test/vectors/conformance.json",
      "test/thorough/processors.ts",
      "test/thorough/emulated.ts",
    ],
    items: processorItems,
    open: () => ({ attempt: tryProcessor, close: nothing }),
  },
  {
    name: "breakages",
    what: "each defence of the table taken out: its tests notice",
    sources: () => digestsOf(breakages),
    items: () => breakages.map(({ name }) => name),
    open: openBreakages,
    sample: 3,
    // A row that nobody has tried may be wrong itself, which is the part's to find, and a dear one holds up every change.
    sampled: () =>
      breakages.map(({ name }) => name).filter((name) => (readRecords()[name]?.seconds ?? Infinity) <= SAMPLED_SECONDS),
  },
];
