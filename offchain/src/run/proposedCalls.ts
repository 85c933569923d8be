/** Calls of a proposal, and those that they pass on: to a contract that calls others, or to one that takes many calls in one. */
import { decodeCall } from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";
import { type AbiFunction, isAddressEqual, parseAbi } from "viem";

/** Whose contracts are known. */
type CallsPlace = Parameters<typeof decodeCall>[0];

/** A call of a proposal, as the governor has it. */
export interface ProposedCall {
  readonly target: Address;
  readonly value: bigint;
  readonly data: Hex;
}

/** A call that a contract of ours knows. */
export interface Decoded {
  /** Contract and function. */
  readonly name: string;
  /** The same as it is shown: with its address where that is the node's word. */
  readonly shown: string;
  readonly args: readonly unknown[];
  readonly inputs: AbiFunction["inputs"];
}

/** At one address on nearly every chain (mds1/multicall3): it passes on whatever it is given. */
const multicall3 = "0xcA11bde05977b3631167028862bE2a173976CA11";
const multicall3Abi = parseAbi([
  "struct Call { address target; bytes callData; }",
  "struct Call3 { address target; bool allowFailure; bytes callData; }",
  "struct Call3Value { address target; bool allowFailure; uint256 value; bytes callData; }",
  "function aggregate(Call[] calls) payable",
  "function tryAggregate(bool requireSuccess, Call[] calls) payable",
  "function blockAndAggregate(Call[] calls) payable",
  "function tryBlockAndAggregate(bool requireSuccess, Call[] calls) payable",
  "function aggregate3(Call3[] calls) payable",
  "function aggregate3Value(Call3Value[] calls) payable",
]);

/** Contracts that each model has of its own. Which they are the node says: another token has transfers, too, so that they are told. */
const modelsOwn: ReadonlySet<string> = new Set(["ModelGovernor", "ModelTimelock", "ModelShares"]);

export function decodeProposed(place: CallsPlace, call: ProposedCall): Decoded | undefined {
  const decoded = decodeCall(place, call, [["Multicall3", multicall3, multicall3Abi]]);
  if (!decoded) return undefined;
  const { contract, functionName } = decoded;
  const name = `${contract}.${functionName}`;
  return { ...decoded, name, shown: modelsOwn.has(contract) ? `${contract} ${call.target}.${functionName}` : name };
}

/** Whether the address is of a contract whose calls are known here, so that one that is not read may be one all the same. */
export function isKnown(place: CallsPlace, target: Address): boolean {
  const { addresses, contracts, codeGrants, capitalSale, stakeManager, computeBudget } = place;
  const others = [codeGrants, capitalSale, stakeManager, computeBudget, multicall3] as const;
  return [...Object.values(addresses), ...Object.values(contracts), ...others].some(
    (known) => known !== undefined && isAddressEqual(known, target),
  );
}

/** The sale takes many calls of its own in one, whoever makes them. */
const saleBatch = "CapitalSale.multicall";

/** Functions that pass calls on, and who makes these calls then: undefined is whoever makes the call itself. */
export const passers: Readonly<Record<string, string | undefined>> = {
  [saleBatch]: undefined,
  "ModelGovernor.relay": "the governor",
  "ModelGovernor.propose": "the timelock",
  "ModelGovernor.queue": "the timelock",
  "ModelGovernor.execute": "the timelock",
  "ModelTimelock.schedule": "the timelock",
  "ModelTimelock.scheduleBatch": "the timelock",
  "ModelTimelock.execute": "the timelock",
  "ModelTimelock.executeBatch": "the timelock",
  "Multicall3.aggregate": "Multicall3",
  "Multicall3.tryAggregate": "Multicall3",
  "Multicall3.blockAndAggregate": "Multicall3",
  "Multicall3.tryBlockAndAggregate": "Multicall3",
  "Multicall3.aggregate3": "Multicall3",
  "Multicall3.aggregate3Value": "Multicall3",
};

/** Arguments that calls are passed on in: one, lists beside each other, or a list of calls. */
interface Passed {
  readonly target?: Address;
  readonly value?: bigint;
  readonly data?: Hex;
  readonly payload?: Hex;
  readonly targets?: readonly Address[];
  readonly values?: readonly bigint[];
  readonly calldatas?: readonly Hex[];
  readonly payloads?: readonly Hex[];
  readonly calls?: readonly { readonly target: Address; readonly value?: bigint; readonly callData: Hex }[];
}
export const passedInputs: ReadonlySet<string> = new Set<keyof Passed>([
  "target",
  "value",
  "data",
  "payload",
  "targets",
  "values",
  "calldatas",
  "payloads",
  "calls",
]);

/** The calls that a call passes on. Lists of different lengths are refused by whoever is called: what is missing is nothing. */
export function passedCalls({ name, args, inputs }: Decoded, to: Address): ProposedCall[] {
  if (name === saleBatch) return (args[0] as readonly Hex[]).map((data) => ({ target: to, value: 0n, data }));
  const passed: Passed = Object.fromEntries(inputs.map(({ name }, i) => [name, args[i]]));
  const { target, value = 0n, values = [] } = passed;
  if (target) return [{ target, value, data: passed.data ?? passed.payload ?? "0x" }];
  const datas = passed.calldatas ?? passed.payloads ?? [];
  return [
    ...(passed.targets ?? []).map((each, i) => ({ target: each, value: values[i] ?? 0n, data: datas[i] ?? "0x" })),
    ...(passed.calls ?? []).map((each) => ({ target: each.target, value: each.value ?? 0n, data: each.callData })),
  ];
}

/** How deep in one another calls are told, how many of a proposal's altogether, and how many bytes of them. */
export const DEEPEST = 3;
export const MOST_PASSED = 32;
export const MOST_BYTES = 256 << 10;

/**
 * Calls, and those that they pass on, in the order in which they are told and as many: of a proposal with more nobody is asked to agree to
 * what is not shown.
 */
export function* withPassed(place: CallsPlace, calls: readonly ProposedCall[]): Generator<ProposedCall> {
  const left = { passed: MOST_PASSED, bytes: MOST_BYTES };
  function* within(call: ProposedCall, depth: number): Generator<ProposedCall> {
    left.bytes -= (call.data.length - 2) / 2;
    if (left.bytes < 0) return;
    yield call;
    const decoded = decodeProposed(place, call);
    if (!decoded || !Object.hasOwn(passers, decoded.name) || depth === DEEPEST) return;
    for (const each of passedCalls(decoded, call.target)) {
      if (left.passed === 0) return;
      left.passed -= 1;
      yield* within(each, depth + 1);
    }
  }
  for (const call of calls) yield* within(call, 0);
}
