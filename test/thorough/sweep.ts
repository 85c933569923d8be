/**
 * The contracts with every mutation behind its switch, compiled once in memory, and the Solidity tests run on them in Hardhat's
 * runner (EDR): a mutation is noticed when a test fails with it on. Only test contracts that come to it are run.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import {
  type Artifact,
  type ArtifactId,
  EdrContext,
  FsAccessPermission,
  L1_CHAIN_TYPE,
  l1SolidityTestRunnerFactory,
  type SuiteResult,
  TestStatus,
} from "@nomicfoundation/edr";

import { compiler, settings, suite as complete } from "../../hardhat.config.ts";
import { filesOf, root } from "./copy.ts";
import { equivalents } from "./equivalents.ts";
import { type Mutation, mutate, RECORD, solc, SWITCH, switchSource } from "./mutations.ts";

export type Sources = Readonly<Record<string, string>>;

/** The largest tests are created and run with half of it; a loop that a mutation made endless ends with it. */
const GAS = 2n ** 29n;
/** What a mutation does is the same in every run. */
const SEED = "0x7365656400000000000000000000000000000000000000000000000000000000";
/** Enough for nearly all; what it does not notice is tried with as many runs as `npm test` has. */
export const QUICK = { fuzz: { runs: 24 }, invariant: { ...complete.invariant, runs: 4 } };

export const soliditySources = (...folders: readonly string[]): Sources =>
  Object.fromEntries(
    filesOf(...folders)
      .filter((file) => file.endsWith(".sol"))
      .map((file) => [file, readFileSync(join(root, file), "utf8")]),
  );

interface Code {
  readonly object: string;
  readonly linkReferences: NonNullable<Artifact["contract"]["linkReferences"]>;
}

interface Output {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[];
  readonly contracts: Readonly<
    Record<
      string,
      Record<string, { readonly abi: unknown; readonly evm: Readonly<Record<"bytecode" | "deployedBytecode", Code>> }>
    >
  >;
}

interface Suite {
  readonly id: ArtifactId;
  /** Mutations that its tests come to. */
  readonly reached: ReadonlySet<number>;
}

interface Run {
  readonly suite: ArtifactId;
  readonly coinbase: bigint;
  readonly config: typeof QUICK;
  readonly pattern?: string | undefined;
  readonly reached?: Set<number>;
}

export interface Sweep {
  /** @returns the test that fails with a mutation on, if one does */
  readonly noticed: (mutation: Mutation) => Promise<string | undefined>;
}

/** Every mutation of some sources, and the sources that hold them all. */
export function mutateAll(sources: Sources): { readonly sources: Sources; readonly mutations: readonly Mutation[] } {
  const mutations: Mutation[] = [];
  const rewritten = Object.entries(sources).map(([file, source]): [string, string] => {
    const mutated = mutate(file, source, mutations.length + 1);
    mutations.push(...mutated.mutations);
    return [file, mutated.source];
  });
  return { sources: Object.fromEntries(rewritten), mutations };
}

export const readModule = (path: string): string => readFileSync(join(root, "node_modules", path), "utf8");

/** Compiles with the settings of the deployment, without optimizing. */
function compile(sources: Sources): Artifact[] {
  const code = ["object", "linkReferences"].flatMap((each) => [`evm.bytecode.${each}`, `evm.deployedBytecode.${each}`]);
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(Object.entries(sources).map(([file, content]) => [file, { content }])),
    settings: {
      ...settings,
      optimizer: { enabled: false },
      outputSelection: { "*": { "*": ["abi", ...code] } },
    },
  };
  const output = JSON.parse(
    solc.compile(JSON.stringify(input), { import: (path) => ({ contents: readModule(path) }) }),
  ) as Output;
  const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new TypeError(errors.map((each) => each.formattedMessage).join("\n"));
  return Object.entries(output.contracts).flatMap(([source, contracts]) =>
    Object.entries(contracts).map(([name, { abi, evm }]): Artifact => ({
      id: { name, source, solcVersion: compiler },
      contract: {
        abi: JSON.stringify(abi),
        bytecode: `0x${evm.bytecode.object}`,
        linkReferences: evm.bytecode.linkReferences,
        deployedBytecode: `0x${evm.deployedBytecode.object}`,
        deployedLinkReferences: evm.deployedBytecode.linkReferences,
      },
    })),
  );
}

export const idOf = ({ file, line, place, what }: Mutation): string => `${file}:${line} ${place}: ${what}`;

/** How a mutation is named where lines would not last. */
export const lastingIdOf = ({ file, place, what }: Mutation): string => `${file} ${place}: ${what}`;

/** @returns what is wrong, if something is */
export async function tryMutation(sweep: Sweep, mutation: Mutation): Promise<string | undefined> {
  const test = await sweep.noticed(mutation);
  const reason = equivalents[lastingIdOf(mutation)];
  if (reason === undefined) return test === undefined ? "no Solidity test fails with it" : undefined;
  return test && `it is said to change nothing ("${reason}"), but this fails with it: ${test}`;
}

const isSuite = ({ contract }: Artifact): boolean =>
  contract.bytecode !== "0x" && /"name":"(test|invariant)/.test(contract.abi);

/** Contracts and their tests, compiled. */
interface Compiled {
  readonly suites: readonly ArtifactId[];
  /** @returns the suite of a file that has a test of this name */
  readonly suiteWith: (file: string, test: string) => ArtifactId | undefined;
  /** @returns the first test of a suite that fails, if one does */
  readonly failing: (run: Run) => Promise<string | undefined>;
}

export async function openTests(sources: Sources): Promise<Compiled> {
  const artifacts = compile({ ...sources, [SWITCH]: switchSource });
  const context = new EdrContext();
  await context.registerSolidityTestRunnerFactory(L1_CHAIN_TYPE, l1SolidityTestRunnerFactory());
  const tests = artifacts.filter(isSuite);
  return {
    suites: tests.map(({ id }) => id),
    suiteWith: (file, test) =>
      tests.find(({ id, contract }) => id.source === file && contract.abi.includes(`"name":"${test}"`))?.id,
    failing: (run) => firstFailure(context, artifacts, run),
  };
}

/** Compiles contracts and their tests, and lets every test run once to see which mutations it comes to. */
export async function openSweep(contracts: Sources, tests: Sources): Promise<Sweep> {
  const { suites: all, failing } = await openTests({ ...contracts, ...tests });
  const suites: Suite[] = [];
  for (const id of all) {
    const reached = new Set<number>();
    const failure = await failing({ suite: id, coinbase: RECORD, config: QUICK, reached });
    if (failure !== undefined) throw new TypeError(`${failure} does not pass in the first place.`);
    suites.push({ id, reached });
  }

  const noticed = async ({ number }: Mutation): Promise<string | undefined> => {
    for (const [config, pattern] of [[QUICK], [complete, "^(testFuzz|invariant)"]] as const) {
      for (const suite of suites.filter(({ reached }) => reached.has(number))) {
        const test = await failing({ suite: suite.id, coinbase: BigInt(number), config, pattern });
        if (test === undefined) continue;
        // The next mutation stands beside this one, and the same tests are about both.
        suites.unshift(...suites.splice(suites.indexOf(suite), 1));
        return test;
      }
    }
    return undefined;
  };
  return { noticed };
}

async function firstFailure(context: EdrContext, artifacts: Artifact[], run: Run): Promise<string | undefined> {
  const { config, suite, coinbase, pattern, reached } = run;
  const options = {
    projectRoot: root,
    hardfork: settings.evmVersion,
    blockCoinbase: Buffer.from(coinbase.toString(16).padStart(40, "0"), "hex"),
    disableBlockGasLimit: true,
    disableTransactionGasCap: true,
    gasLimit: GAS,
    fsPermissions: complete.fsPermissions.readDirectory.map((path) => ({
      access: FsAccessPermission.ReadDirectory,
      path,
    })),
    fuzz: { ...config.fuzz, seed: SEED },
    invariant: config.invariant,
    ...(pattern === undefined ? {} : { testPattern: pattern }),
    ...(reached && {
      observability: {
        codeCoverage: {
          onCollectedCoverageCallback: async (hits: Uint8Array[]) => {
            for (const hit of hits) reached.add(Number(BigInt(`0x${Buffer.from(hit).toString("hex")}`)));
          },
        },
      },
    }),
  };
  // The results may come after the end of the run.
  const results = Promise.withResolvers<SuiteResult>();
  await context.runSolidityTests(L1_CHAIN_TYPE, artifacts, [suite], options, {}, results.resolve);
  const failed = (await results.promise).testResults.find(({ status }) => status === TestStatus.Failure);
  return failed && `${suite.name}.${failed.name}: ${failed.reason ?? ""}`;
}
