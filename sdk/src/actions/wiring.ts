/**
 * Whom the contracts obey, as they say themselves: who mints, who signs, what every model's own contracts run. What is not
 * as it should be gives money or authority away, so `cotrain verify` and the deployment read all of it.
 */
import {
  type Abi,
  type Address,
  BaseError,
  type Client,
  concatHex,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
  type Hex,
  isAddress,
  keccak256,
  stringToHex,
  zeroAddress,
  zeroHash,
} from "viem";
import { getCode, readContract } from "viem/actions";
import {
  bootstrapAbi,
  capitalSaleAbi,
  checkpointRegistryAbi,
  codeGrantsAbi,
  computeBudgetAbi,
  computeRewardsAbi,
  emissionAbi,
  modelGovernorAbi,
  modelRegistryAbi,
  modelSharesAbi,
  modelTimelockAbi,
  revenueDepositsAbi,
  runRegistryAbi,
  stakeManagerAbi,
  tokenVaultAbi,
  validatorSetAbi,
} from "../abis/index.ts";
import { rewardKind } from "../protocol/codes.ts";
import type { Addressed, ReadOptions } from "./action.ts";
import { type ModelContracts, modelContractsOf } from "./models.ts";

/** One thing that a contract says of itself. */
export interface Wire {
  /** Whose it is and what, as in `Emission.distributorOf 1`. */
  readonly what: string;
  readonly says: string;
  readonly expected: string;
}

/** Those that say something else than they should. */
export const misWired = (wires: readonly Wire[]): Wire[] =>
  wires.filter(({ says, expected }) => says.toLowerCase() !== expected.toLowerCase());

/** What is wrong with it, in a sentence. */
export const wireSentence = ({ what, says, expected }: Wire): string => `${what} is ${says}, not ${expected}.`;

type WiringArgs = Addressed & ReadOptions;

/** A contract by its name, and how it is read. */
type Subject = readonly [name: string, address: Address, abi: Abi];

/** What is asked, the answer that it should give, and of what it is asked, with its name. */
type Question = readonly [getter: string, expected: string, args?: readonly unknown[], of?: string];

/** Of a contract that has no such getter: whoever put it there did not mean to be asked. */
const NOTHING = "nothing";

const isRefusal = (error: unknown): boolean =>
  error instanceof BaseError &&
  error.walk(
    (cause) => cause instanceof ContractFunctionZeroDataError || cause instanceof ContractFunctionRevertedError,
  ) !== null;

async function say(
  client: Client,
  [, address, abi]: Subject,
  functionName: string,
  args: readonly unknown[],
  options: ReadOptions,
): Promise<string> {
  try {
    return String(await readContract(client, { address, abi, functionName, args, ...options }));
  } catch (error) {
    if (isRefusal(error)) return NOTHING;
    throw error;
  }
}

/** Asks each contract its questions. */
async function ask(
  client: Client,
  rows: readonly (readonly [Subject, readonly Question[]])[],
  options: ReadOptions,
): Promise<Wire[]> {
  return Promise.all(
    rows.flatMap(([subject, questions]) =>
      questions.map(async ([getter, expected, args = [], of]) => ({
        what: `${subject[0]}.${getter}${of === undefined ? "" : ` ${of}`}`,
        says: await say(client, subject, getter, args, options),
        expected,
      })),
    ),
  );
}

/** The distributor of a kind, as Emission names it; the zero address where it names none. */
async function distributorOf(client: Client, { addresses, ...options }: WiringArgs, kind: number): Promise<Address> {
  const said = await say(client, ["Emission", addresses.emission, emissionAbi], "distributorOf", [kind], options);
  return isAddress(said) ? said : zeroAddress;
}

/** What ComputeRewards names by a getter; the zero address where it names nothing. */
async function namedByRewards(client: Client, { addresses, ...options }: WiringArgs, getter: string): Promise<Address> {
  const rewards: Subject = ["ComputeRewards", addresses.computeRewards, computeRewardsAbi];
  const said = await say(client, rewards, getter, [], options);
  return isAddress(said) ? said : zeroAddress;
}

/** What of a deployment pays for code and sells shares; without those that it does not have. */
export interface Distributors {
  readonly codeGrants?: Address;
  readonly capitalSale?: Address;
}

/** Those that Emission names and that name that Emission: of another's, which `deploymentWiring` tells, nothing is said. */
export async function distributorsOf(client: Client, { addresses, ...options }: WiringArgs): Promise<Distributors> {
  const own = async (name: string, kind: number, abi: Abi): Promise<Address | undefined> => {
    const address = await distributorOf(client, { addresses, ...options }, kind);
    if (address === zeroAddress) return undefined;
    const emission = await say(client, [name, address, abi], "emission", [], options);
    return emission.toLowerCase() === addresses.emission.toLowerCase() ? address : undefined;
  };
  const [codeGrants, capitalSale] = await Promise.all([
    own("CodeGrants", rewardKind.code, codeGrantsAbi),
    own("CapitalSale", rewardKind.capital, capitalSaleAbi),
  ]);
  return { ...(codeGrants && { codeGrants }), ...(capitalSale && { capitalSale }) };
}

/** What the registry names by a getter; the zero address where it names nothing. */
async function namedByRegistry(
  client: Client,
  { addresses, ...options }: WiringArgs,
  getter: string,
): Promise<Address> {
  const registry: Subject = ["ModelRegistry", addresses.modelRegistry, modelRegistryAbi];
  const said = await say(client, registry, getter, [], options);
  return isAddress(said) ? said : zeroAddress;
}

/** Contracts that every model runs, as the registry names them; the zero address where it names none. */
async function implementationsOf(client: Client, args: WiringArgs): Promise<ModelContracts> {
  const read = (getter: string): Promise<Address> => namedByRegistry(client, args, getter);
  const [shares, governor, timelock] = await Promise.all([
    read("sharesImplementation"),
    read("governorImplementation"),
    read("timelockImplementation"),
  ]);
  return { shares, governor, timelock };
}

export interface DeploymentWiringArgs extends WiringArgs {
  /** Where it is known what every model should run. */
  readonly implementations?: ModelContracts;
  /** Where it is known what should pay for code. */
  readonly codeGrants?: Address;
  /** Where it is known what should sell shares. */
  readonly capitalSale?: Address;
  /** Where it is known what should hold stake. */
  readonly stakeManager?: Address;
  /** Where it is known what should say whether models are in bootstrap. */
  readonly bootstrap?: Address;
  /** Where it is known where revenue should arrive. */
  readonly revenueDeposits?: Address;
  /** Where it is known what should let others spend from treasuries. */
  readonly computeBudget?: Address;
}

/** Of what keeps runs and who signs for them. */
const trainingRows = ({
  modelRegistry,
  runRegistry,
  checkpointRegistry,
  validatorSet,
}: Addressed["addresses"]): readonly (readonly [Subject, readonly Question[]])[] => [
  [
    ["RunRegistry", runRegistry, runRegistryAbi],
    [
      ["registry", modelRegistry],
      ["checkpoints", checkpointRegistry],
    ],
  ],
  [
    ["CheckpointRegistry", checkpointRegistry, checkpointRegistryAbi],
    [
      ["runs", runRegistry],
      ["validators", validatorSet],
    ],
  ],
  [["ValidatorSet", validatorSet, validatorSetAbi], [["registry", modelRegistry]]],
];

/** Whom stake obeys. */
const ofStake = ({ modelRegistry, ...addresses }: WiringArgs["addresses"]): readonly Question[] => [
  ["registry", modelRegistry],
  ["runs", addresses.runRegistry],
  ["rewards", addresses.computeRewards],
  ["validators", addresses.validatorSet],
  ["disputes", addresses.computeRewards],
];

/** Whom revenue obeys. */
const ofRevenue = ({ modelRegistry, computeRewards }: WiringArgs["addresses"], sale: Address): readonly Question[] => [
  ["registry", modelRegistry],
  ["capitalSale", sale],
  ["rewards", computeRewards],
];

/** What is known of a deployment besides its documents, and what the contracts say where it is not. */
async function askedOf(
  client: Client,
  {
    addresses,
    codeGrants,
    capitalSale,
    bootstrap,
    stakeManager,
    revenueDeposits,
    computeBudget,
    ...options
  }: DeploymentWiringArgs,
) {
  const args = { addresses, ...options };
  return {
    options,
    grants: codeGrants ?? (await distributorOf(client, args, rewardKind.code)),
    sale: capitalSale ?? (await distributorOf(client, args, rewardKind.capital)),
    stakes: stakeManager ?? (await namedByRegistry(client, args, "stakeManager")),
    young: bootstrap ?? (await namedByRewards(client, args, "bootstrap")),
    revenue: revenueDeposits ?? (await namedByRewards(client, args, "revenueDeposits")),
    budgets: computeBudget ?? (await namedByRegistry(client, args, "computeBudget")),
  };
}

/** What the registry names: what models are made of, and where of each there is one for all of them. */
const ofRegistry = (
  { modelRegistry, emission, validatorSet, computeRewards }: WiringArgs["addresses"],
  at: ModelContracts & Readonly<Record<"sale" | "stakes" | "young" | "budgets", Address>>,
): readonly [Subject, readonly Question[]] => [
  ["ModelRegistry", modelRegistry, modelRegistryAbi],
  [
    ["sharesImplementation", at.shares],
    ["governorImplementation", at.governor],
    ["timelockImplementation", at.timelock],
    ["emission", emission],
    ["validators", validatorSet],
    ["capitalSale", at.sale],
    ["stakeManager", at.stakes],
    ["rewards", computeRewards],
    ["bootstrap", at.young],
    ["computeBudget", at.budgets],
  ],
];

/** All that the contracts of a deployment say of each other. */
export async function deploymentWiring(
  client: Client,
  { addresses, implementations, ...known }: DeploymentWiringArgs,
): Promise<Wire[]> {
  const { modelRegistry, validatorSet, emission, computeRewards } = addresses;
  const { grants, sale, stakes, young, revenue, budgets, options } = await askedOf(client, { addresses, ...known });
  const made = await implementationsOf(client, { addresses, ...options });
  const { compute, code, capital, treasury } = rewardKind;
  const ofMinted: readonly Question[] = [
    ["registry", modelRegistry],
    ["emission", emission],
  ];
  const ofDistributors: readonly Question[] = [...ofMinted, ["validators", validatorSet]];
  return ask(
    client,
    [
      ofRegistry(addresses, { ...(implementations ?? made), sale, stakes, young, budgets }),
      [["ModelShares", made.shares, modelSharesAbi], ofMinted],
      [
        ["ModelGovernor", made.governor, modelGovernorAbi],
        [
          ["registry", modelRegistry],
          ["rewards", computeRewards],
          ["bootstrap", young],
        ],
      ],
      [["ModelTimelock", made.timelock, modelTimelockAbi], [["registry", modelRegistry]]],
      ...trainingRows(addresses),
      [
        ["Emission", emission, emissionAbi],
        [
          ["registry", modelRegistry],
          ["distributorOf", computeRewards, [compute], "compute"],
          ["distributorOf", grants, [code], "code"],
          ["distributorOf", sale, [capital], "capital"],
          ["distributorOf", zeroAddress, [treasury], "treasury"],
        ],
      ],
      [
        ["ComputeRewards", computeRewards, computeRewardsAbi],
        [...ofDistributors, ["bootstrap", young], ["revenueDeposits", revenue]],
      ],
      [
        ["Bootstrap", young, bootstrapAbi],
        [...ofMinted, ["rewards", computeRewards], ["runs", addresses.runRegistry]],
      ],
      [["CodeGrants", grants, codeGrantsAbi], ofDistributors],
      [["CapitalSale", sale, capitalSaleAbi], ofMinted],
      [["RevenueDeposits", revenue, revenueDepositsAbi], ofRevenue(addresses, sale)],
      [["StakeManager", stakes, stakeManagerAbi], ofStake(addresses)],
      [["ComputeBudget", budgets, computeBudgetAbi], [["registry", modelRegistry]]],
    ],
    options,
  );
}

/** Code of a minimal proxy (EIP-1167), as the registry's clones have it. */
const cloneOf = (implementation: Address): Hex =>
  concatHex(["0x363d3d373d3d3d363d73", implementation, "0x5af43d82803e903d91602b57fd5bf3"]);

const roleOf = (name: string): Hex => keccak256(stringToHex(name));

/** What holds a model's deposits and its revenue, where there is such: whoever moves them must be the sale, or RevenueDeposits. */
async function vaultWiring(
  client: Client,
  { addresses, modelId, ...options }: WiringArgs & { readonly modelId: Hex },
): Promise<Wire[]> {
  const book = { functionName: "bookOf", args: [modelId], ...options } as const;
  const sale = await distributorOf(client, { addresses, ...options }, rewardKind.capital);
  const revenue = await namedByRewards(client, { addresses, ...options }, "revenueDeposits");
  const vaults = [
    [
      "The model's vault",
      sale === zeroAddress ? undefined : await readContract(client, { address: sale, abi: capitalSaleAbi, ...book }),
      sale,
    ],
    [
      "The model's vault of revenue",
      revenue === zeroAddress
        ? undefined
        : await readContract(client, { address: revenue, abi: revenueDepositsAbi, ...book }),
      revenue,
    ],
  ] as const;
  const rows = vaults
    .flatMap(([name, found, keeper]) =>
      found === undefined || found.vault === zeroAddress ? [] : [[name, found.vault, keeper] as const],
    )
    .map(([name, vault, keeper]) => [[name, vault, tokenVaultAbi], [["keeper", keeper]]] as const);
  return ask(client, rows, options);
}

/** All that a model's own contracts say of each other, and what code they run. */
export async function modelWiring(
  client: Client,
  { addresses, modelId, ...options }: WiringArgs & { readonly modelId: Hex },
): Promise<Wire[]> {
  const [implementations, own] = await Promise.all([
    implementationsOf(client, { addresses, ...options }),
    modelContractsOf(client, { addresses, modelId, ...options }),
  ]);
  const { shares, governor, timelock } = own;
  const clones = await Promise.all(
    (["shares", "governor", "timelock"] as const).map(async (name) => ({
      what: `The code of the model's ${name}`,
      says: (await getCode(client, { address: own[name], ...options })) ?? "0x",
      expected: cloneOf(implementations[name]),
    })),
  );
  const said = await ask(
    client,
    [
      [["The model's shares", shares, modelSharesAbi], [["modelId", modelId]]],
      [
        ["The model's governor", governor, modelGovernorAbi],
        [
          ["token", shares],
          ["timelock", timelock],
        ],
      ],
      [
        ["The model's timelock", timelock, modelTimelockAbi],
        [
          ["hasRole", "true", [roleOf("PROPOSER_ROLE"), governor], "of proposer for the governor"],
          ["hasRole", "true", [roleOf("CANCELLER_ROLE"), governor], "of canceller for the governor"],
          ["hasRole", "true", [roleOf("EXECUTOR_ROLE"), zeroAddress], "of executor for everybody"],
          ["hasRole", "true", [zeroHash, timelock], "of admin for itself"],
        ],
      ],
    ],
    options,
  );
  return [...clones, ...said, ...(await vaultWiring(client, { addresses, modelId, ...options }))];
}
