/** What a proposal's calls would do, in words: by the calls themselves, whatever its text says of them. */
import {
  checkpointRegistryAbi,
  computeRewardsAbi,
  emissionAbi,
  modelGovernorAbi,
  modelRegistryAbi,
  modelSharesAbi,
  modelTimelockAbi,
  runRegistryAbi,
  validatorSetAbi,
} from "@cotrain/sdk/abis";
import { type ModelContracts, paramsOf } from "@cotrain/sdk/actions";
import {
  type Address,
  type ContractAddresses,
  type Hex,
  nameOfCode,
  parametersChange,
  type RunId,
  type RunParams,
  runStatus,
} from "@cotrain/sdk/protocol";
import { type Abi, type AbiFunction, decodeFunctionData, formatEther, getAbiItem, isAddressEqual } from "viem";

import type { ChainConnection } from "../chain/index.ts";

/** Whose run and model it is about. */
export interface WordsPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: ContractAddresses;
  readonly contracts: ModelContracts;
  readonly runId: RunId;
}

/** A call of a proposal, as the governor has it. */
export interface ProposedCall {
  readonly target: Address;
  readonly value: bigint;
  readonly data: Hex;
}

/** A call that a contract of ours knows. */
interface Decoded {
  readonly contract: string;
  readonly functionName: string;
  readonly args: readonly unknown[];
  readonly inputs: AbiFunction["inputs"];
}

function decode({ addresses, contracts }: WordsPlace, { target, data }: ProposedCall): Decoded | undefined {
  const known: readonly (readonly [string, Address, Abi])[] = [
    ["RunRegistry", addresses.runRegistry, runRegistryAbi],
    ["ValidatorSet", addresses.validatorSet, validatorSetAbi],
    ["Emission", addresses.emission, emissionAbi],
    ["ComputeRewards", addresses.computeRewards, computeRewardsAbi],
    ["CheckpointRegistry", addresses.checkpointRegistry, checkpointRegistryAbi],
    ["ModelRegistry", addresses.modelRegistry, modelRegistryAbi],
    ["ModelGovernor", contracts.governor, modelGovernorAbi],
    ["ModelTimelock", contracts.timelock, modelTimelockAbi],
    ["ModelShares", contracts.shares, modelSharesAbi],
  ];
  const [contract, , abi] = known.find(([, address]) => isAddressEqual(address, target)) ?? [];
  if (contract === undefined || abi === undefined) return undefined;
  try {
    const { functionName, args = [] } = decodeFunctionData({ abi, data });
    const item = getAbiItem({ abi, name: functionName, args }) as AbiFunction | undefined;
    return { contract, functionName, args, inputs: item?.inputs ?? [] };
  } catch {
    // Holders may propose what no function takes: it would be refused when it is executed.
    return undefined;
  }
}

/** Characters of the words of a call that is shown as it is: a stranger may pass megabytes. */
const MOST_WORDS = 600;
const bounded = (text: string): string => (text.length > MOST_WORDS ? `${text.slice(0, MOST_WORDS)}…` : text);

function valueText(value: unknown): string {
  if (typeof value === "string")
    return /^0x[\da-f]*$/i.test(value) ? value : JSON.stringify(value.slice(0, MOST_WORDS));
  if (Array.isArray(value)) return `[${value.slice(0, MOST_WORDS).map(valueText).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  return `{${Object.entries(value)
    .map(([name, field]) => `${name} ${valueText(field)}`)
    .join(", ")}}`;
}

/** What a run is called: its id only where it is another than one expects. */
const runText = (place: WordsPlace, id: unknown): string =>
  String(id).toLowerCase() === place.runId.toLowerCase() ? "this run" : `another run, ${String(id)},`;

async function paramsText(place: WordsPlace, [id, replaces, params]: readonly unknown[]): Promise<string> {
  const { connection, addresses } = place;
  const version = Number(replaces);
  const before = await connection.call((client) => paramsOf(client, { addresses, runId: id as Hex, version }));
  const change = parametersChange(before, params as RunParams);
  return `RunRegistry sets parameters of ${runText(place, id)} in the place of version ${version}: ${change === "" ? "all stay as they are" : change}.`;
}

/** Sentences for what holders decide most, whole: no change is hidden behind others. All other calls are shown as they are. */
const sentences: Readonly<Record<string, (place: WordsPlace, args: readonly unknown[]) => string | Promise<string>>> = {
  "RunRegistry.setParams": paramsText,
  "RunRegistry.admitBuild": (place, [id, build, admitted]) =>
    `RunRegistry ${admitted === true ? "admits" : "withdraws"} build ${String(build)} ${admitted === true ? "to" : "from"} ${runText(place, id)}.`,
  "RunRegistry.setPoster": (place, [id, poster]) =>
    `RunRegistry lets ${String(poster)} alone post the heads of ${runText(place, id)}.`,
  "RunRegistry.setStatus": (place, [id, status]) =>
    `RunRegistry makes ${runText(place, id)} ${nameOfCode(runStatus, Number(status)) ?? `status ${String(status)}`}.`,
};

/** What one call would do, in one sentence of bounded length. */
export async function wordsOfCall(place: WordsPlace, call: ProposedCall): Promise<string> {
  const coins = call.value > 0n ? ` It sends ${formatEther(call.value)} coins of the timelock along.` : "";
  const decoded = decode(place, call);
  if (!decoded) {
    const bytes = (call.data.length - 2) / 2;
    const what =
      bytes === 0 ? "without data" : `with ${bytes} bytes that no contract of this model reads: ${call.data}`;
    return `${bounded(`The timelock calls ${call.target} ${what}`)}.${coins}`;
  }
  const { contract, functionName, args, inputs } = decoded;
  const name = `${contract}.${functionName}`;
  const sentence = sentences[name];
  if (sentence) return `${await sentence(place, args)}${coins}`;
  const shown = args.map((value, i) => `${inputs[i]?.name ?? `argument ${i + 1}`} ${valueText(value)}`).join(", ");
  return `${bounded(`${name}(${shown})`)}.${coins}`;
}
