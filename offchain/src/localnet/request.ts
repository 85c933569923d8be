/**
 * What can be wrong with what `cotrain up` was asked for is found here, before anything is written, moved or started: a
 * mistake leaves the state as it was.
 */
import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";

import { CotrainError } from "@cotrain/sdk/errors";
import { createPublicClient } from "viem";

import type { FoundersSettings } from "../../../deploy/deployment.ts";
import { flagOf, redactUrl, remedied, RetryableError, UserError } from "../base/index.ts";
import { freshCommand, type RunChoice } from "../base/node/index.ts";
import { noRpc, rpcTransport, wrongChain } from "../chain/index.ts";
import { loadTokenizer, textCorpus } from "../data/node/index.ts";
import { AUTO, presetNames, presetsFor } from "../engine/index.ts";
import { deviceOf, requireDevice } from "../engine/runtime/node/index.ts";
import { requireFakeMachines } from "../market/index.ts";
import { checkExposure, didYouMean, findPort, loadTls, type RunFile, variableOf } from "../service/index.ts";
import { workerPlaces } from "./devices.ts";
import { diskFor, requireRoom } from "./disk.ts";
import type { LocalnetContext } from "./context.ts";
import { foundersOf } from "./founders.ts";
import { requireMemory } from "./memory.ts";
import { type Sale, saleOf } from "./sale.ts";
import {
  namedWallet,
  type Recipe,
  recipeKeys,
  recipeOf,
  type RecipeRequest,
  requestBeside,
  requestOf,
} from "../run/index.ts";

/** What to do, with the settings of the run that is there already. */
export interface Request {
  readonly preset: string;
  /** Absolute path of the user's own text. */
  readonly dataFile: string | undefined;
  /** How inner steps are taken, and what was asked for of that. */
  readonly recipe: Recipe;
  readonly asked: RecipeRequest;
  /** Undefined: the embedded chain. */
  readonly rpc: string | undefined;
  /** Undefined: nobody, or the run is there already. */
  readonly founders: FoundersSettings | undefined;
  /** Undefined: what the chain's profile has, or the run is there already. */
  readonly sale: Sale | undefined;
}

/** A setting as it is typed. */
const saidOf = (key: string, value: unknown): string =>
  typeof value === "boolean"
    ? value
      ? flagOf(key)
      : flagOf(key).replace(/^--/, "--no-")
    : `${flagOf(key)} ${String(value)}`;

/** What the line asks for stands in the command that makes it so; the rest is the run's. */
function refuseOther(
  { options, config }: LocalnetContext,
  flag: keyof RunChoice,
  kept: string,
  wanted: string,
  recipe?: RecipeRequest,
): UserError {
  const keys = ["preset", "data", "rpc", ...recipeKeys] as const;
  const given = keys.filter((key) => config.explicit(key) && options[key] !== undefined);
  const command = freshCommand(options.state, {
    ...Object.fromEntries(given.map((key) => [key, key === "data" ? resolve(String(options[key])) : options[key]])),
    ...(recipe && Object.fromEntries(recipeKeys.map((key) => [key, recipe[key]]))),
  });
  const typed = options[flag] === false ? saidOf(flag, false) : flagOf(flag);
  const leaveOut = config.origins[flag] === "environment" ? `unset ${variableOf(flag)}` : `leave ${typed} out`;
  return new UserError(
    "SETTING_KEPT",
    `This state holds a run with ${kept}, not ${wanted}: ${leaveOut} to go on with it, or start anew with "${command}".`,
  );
}

/**
 * The model and text of a run stay what they are: naming others for an existing run is a mistake, not a wish to change it. One
 * that no run could have is refused as such: a start anew would not take it either.
 */
async function keepSetting(
  context: LocalnetContext,
  file: RunFile | undefined,
  key: "preset" | "data",
): Promise<string | undefined> {
  const given = context.options[key];
  const wanted = key === "data" && given !== undefined ? resolve(given) : given;
  if (!file?.settings) return wanted;
  const kept = file.settings[key];
  const before = typeof kept === "string" ? kept : undefined;
  if (!context.config.explicit(key) || wanted === undefined || wanted === before) return before;
  await (key === "preset" ? checkPreset(wanted) : checkText(wanted));
  throw refuseOther(context, key, before === undefined ? "the Brown corpus" : `${key} ${before}`, wanted);
}

/** What was asked for of how inner steps are taken, by this line. */
function askedBy({ options, config }: LocalnetContext): RecipeRequest {
  const given = recipeKeys.filter((key) => config.explicit(key) && options[key] !== undefined);
  return Object.fromEntries(given.map((key) => [key, options[key]]));
}

/** Inner steps are taken as the run's definition says: what says the same in other words is no other wish. */
function keepRecipe(
  context: LocalnetContext,
  file: RunFile | undefined,
  preset: string,
): Pick<Request, "recipe" | "asked"> {
  const given = askedBy(context);
  if (!file?.settings) return { recipe: recipeOf(preset, given), asked: given };
  const kept = requestOf(file.settings);
  const recipe = recipeOf(preset, kept);
  const wanted = { ...requestBeside(given.schedule, kept), ...given };
  if (isDeepStrictEqual(recipeOf(preset, wanted), recipe)) return { recipe, asked: kept };
  const other = recipeKeys.find((key) => given[key] !== undefined && given[key] !== kept[key])!;
  const was = kept[other];
  throw refuseOther(
    context,
    other,
    was === undefined ? `no ${flagOf(other)} of its own` : saidOf(other, was),
    typeof given[other] === "boolean" ? saidOf(other, given[other]) : String(given[other]),
    wanted,
  );
}

/** A run stays on its chain; another RPC of that chain will do. */
function keepRpc(context: LocalnetContext, file: RunFile | undefined): string | undefined {
  const { rpc } = context.options;
  if (!file?.settings) return rpc;
  if (!file.chain.embedded) return rpc ?? file.chain.rpcUrl;
  if (rpc !== undefined) throw refuseOther(context, "rpc", "the embedded chain", redactUrl(rpc));
  return undefined;
}

async function checkPreset(name: string): Promise<void> {
  const { vocabulary } = await loadTokenizer();
  const usable = presetsFor(vocabulary);
  if (usable.some((each) => each === name)) return;
  const list = `choose one of ${usable.join(", ")} with --preset`;
  if (presetNames.some((each) => each === name))
    throw new UserError(
      "PRESET_TOKENIZER",
      `The preset ${name} needs a larger tokenizer than the one of ${vocabulary} tokens that is shipped: ${list}.`,
    );
  throw new UserError("PRESET_UNKNOWN", `There is no model preset "${name}": ${list}.${didYouMean(name, usable)}`);
}

async function checkText(path: string): Promise<void> {
  await textCorpus(path).catch((error: unknown) => {
    if (!(error instanceof CotrainError) || error.retryable) throw error;
    throw remedied(error, "name another text with --data, or leave it out for the Brown corpus");
  });
}

/**
 * The chain id behind an RPC, which must be that of the run where there is one.
 * @throws UserError `WRONG_CHAIN`; RetryableError `CHAIN_UNREACHABLE`
 */
export async function checkChain(rpc: string, file: RunFile | undefined): Promise<number> {
  const chainId = await chainIdOf(rpc);
  if (file && file.chain.chainId !== chainId) throw wrongChain(rpc, chainId, file.chain.chainId);
  return chainId;
}

/** @throws RetryableError `CHAIN_UNREACHABLE` */
async function chainIdOf(rpc: string): Promise<number> {
  const client = createPublicClient({ transport: rpcTransport(rpc, { timeout: 10_000, retries: 1 }) });
  try {
    return await client.getChainId();
  } catch (cause) {
    const other = noRpc(rpc, cause);
    if (other) throw other;
    throw new RetryableError(
      "CHAIN_UNREACHABLE",
      `The chain's RPC at ${redactUrl(rpc)} does not answer: try again when it does, or name another with --rpc.`,
      { cause },
    );
  }
}

/** Ports that the user named must be free, and the host this machine's; other ports give way when their time comes. */
async function checkPorts({ options, config }: LocalnetContext, embedded: boolean): Promise<void> {
  const { port, chainPort, host } = options;
  const chain = embedded && config.explicit("chainPort");
  if (chain) await findPort({ port: chainPort, explicit: true, purpose: "the chain", flag: "--chain-port" });
  const wanted = config.explicit("port") ? port : 0;
  await findPort({ port: wanted, explicit: true, host, purpose: "the coordinator", flag: "--port" });
  if (wanted === 0) return;
  if (chain && port === chainPort)
    throw new UserError("PORT_TAKEN", `--port and --chain-port are both ${port}: name two different ports.`);
}

/** A dispute that is shown takes so long, with what comes before it, ms. */
const DEMO_LEAST_MS = 120_000;

/** A dispute is shown where nothing is worth anything, and where votes take seconds. @throws UserError `DEMO_REFUSED` */
function requireDemo({ demo, for: goal }: Pick<LocalnetContext["options"], "demo" | "for">, embedded: boolean) {
  if (demo === undefined) return;
  if (!embedded)
    throw new UserError(
      "DEMO_REFUSED",
      `--demo ${demo} has validators sign what is false, and needs the chain that npm start embeds: leave --rpc out, or name another directory with --state.`,
    );
  if (goal < DEMO_LEAST_MS)
    throw new UserError("DEMO_REFUSED", `--demo ${demo} takes two minutes at least: try --for 3m, or leave --for out.`);
}

/** Machines are rented where nothing costs. @throws UserError `DEMO_REFUSED`, `FAKE_MACHINES` */
function requireMarket({ market }: Pick<LocalnetContext["options"], "market">, embedded: boolean): void {
  if (market === undefined) return;
  if (!embedded)
    throw new UserError(
      "DEMO_REFUSED",
      `--market ${market} is for the chain that npm start embeds: leave --rpc out, or name another directory with --state; machines for a run elsewhere are rented with "npx cotrain market rent --coordinator URL".`,
    );
  requireFakeMachines();
}

/** What is decided when a model is created, and not again. @throws UserError `FOUNDERS_KEPT`, `CAPITAL_KEPT` */
function refuseSettled({ founders, capital }: LocalnetContext["options"]): void {
  if (founders !== undefined)
    throw new UserError(
      "FOUNDERS_KEPT",
      "--founders is for a new run alone: a model's founders are decided when it is created. Leave it out, or start anew with --fresh.",
    );
  if (capital !== undefined)
    throw new UserError(
      "CAPITAL_KEPT",
      "--capital is for a new run alone: what a model's shares are sold for is decided when it is created. Leave it out, or start anew with --fresh.",
    );
}

/**
 * Checks what was asked for against the run that is there, and against the machine.
 * @param file of the run that the state holds, undefined when a new one is to begin
 * @throws UserError, RetryableError: one sentence each
 */
export async function checkRequest(context: LocalnetContext, file: RunFile | undefined): Promise<Request> {
  const { options } = context;
  if (options.for === 0) throw new UserError("CONFIG_INVALID", "--for must be longer than nothing: try 45s, 3m or 1h.");
  const named = [...new Set(options.device)].filter((name) => name !== AUTO).map(deviceOf);
  const rpc = keepRpc(context, file);
  const embedded = file?.chain.embedded ?? rpc === undefined;
  requireDemo(options, embedded);
  requireMarket(options, embedded);
  const preset = (await keepSetting(context, file, "preset")) ?? options.preset;
  const dataFile = await keepSetting(context, file, "data");
  await checkPreset(preset);
  const steps = keepRecipe(context, file, preset);
  if (dataFile !== undefined && !file?.runId) await checkText(dataFile);
  await namedWallet(options);
  const tls = (await loadTls(options.tlsCert, options.tlsKey)) !== undefined;
  checkExposure({ host: options.host, tls, behindProxy: options.behindProxy });
  await checkPorts(context, rpc === undefined);
  const chainId = rpc === undefined ? undefined : await checkChain(rpc, file);
  // Each has a worker of its own.
  for (const device of named) await requireDevice([device]);
  requireMemory(preset, steps.recipe, workerPlaces(context));
  if (!file?.runId) await requireRoom(resolve(options.state), options.blobs, diskFor(preset, options.keepCheckpoints));
  const founders = foundersOf(options.founders);
  if (file?.runId) refuseSettled(options);
  const sale = await saleOf(options.capital, { rpcUrl: rpc, chainId });
  return { preset, dataFile, ...steps, rpc, founders, sale };
}
