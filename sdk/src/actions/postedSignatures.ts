/** What signatures a root or a ruling came to the chain with, in a transaction that its sender filled with whatever he liked. */
import { decodeFunctionData, encodeAbiParameters, type Hex, toFunctionSelector } from "viem";
import { computeRewardsAbi, stakeManagerAbi } from "../abis/index.ts";
import type { Attestation, Ruling } from "../protocol/typedData.ts";

/** Bytes of a signature, as they are sent; as many as there are at most; and of all calls of a transaction. */
const [SIGNATURE, MOST_SIGNATURES, MOST_FOUND] = [65, 64, 4_096];

/** As they stand one after the other; none where these are no such many. */
function signaturesIn(packed: Hex): Hex[] {
  const count = (packed.length - 2) / (2 * SIGNATURE);
  if (!Number.isInteger(count) || count > MOST_SIGNATURES) return [];
  return Array.from({ length: count }, (_, i): Hex => {
    const from = 2 + 2 * SIGNATURE * i;
    return `0x${packed.slice(from, from + 2 * SIGNATURE)}`;
  });
}

/**
 * Those of all calls that begin like this, wherever in a transaction's data.
 * @param begins its function and all that the event tells: the function alone may stand in the data thousands of times
 * @param packedOf the signatures of a call's data, as they were sent
 */
function signaturesOfCalls(input: Hex, begins: readonly [Hex, Hex], packedOf: (data: Hex) => Hex): Hex[] | undefined {
  const call = begins.map((part) => part.slice(2)).join("");
  const found = new Set<Hex>();
  for (let at = input.indexOf(call); at >= 0 && found.size < MOST_FOUND; at = input.indexOf(call, at + call.length)) {
    try {
      for (const signature of signaturesIn(packedOf(`0x${input.slice(at)}`))) found.add(signature);
    } catch {
      // These bytes are no such call.
    }
  }
  return found.size === 0 ? undefined : [...found];
}

/**
 * The signatures that a root was posted with, wherever in a transaction's data: what is posted through a wallet that is a contract
 * stands inside another call. Who sent it may have put calls with other signatures beside it: those are among them, each once.
 * @param input of the transaction of `RootPosted`
 * @param attestation as the event has it: only a call with all of it is looked at
 * @returns undefined where it posts no such root
 */
export function postedSignatures(input: Hex, attestation: Attestation): Hex[] | undefined {
  const abi = computeRewardsAbi.find((item) => item.type === "function" && item.name === "postRoot")!;
  const begins = [toFunctionSelector(abi), encodeAbiParameters([abi.inputs[0]], [attestation])] as const;
  return signaturesOfCalls(input, begins, (data) => decodeFunctionData({ abi: [abi] as const, data }).args[1]);
}

/**
 * Likewise the validators' signatures that a ruling on a worker's receipt was proposed with.
 * @param input of the transaction of `RulingProposed`
 * @param ruling as the event has it: only a call with all of it is looked at
 * @returns undefined where it proposes no such ruling
 */
export function proposedSignatures(input: Hex, ruling: Ruling): Hex[] | undefined {
  const abi = stakeManagerAbi.find((item) => item.type === "function" && item.name === "proposeRuling")!;
  const begins = [toFunctionSelector(abi), encodeAbiParameters([abi.inputs[0]], [ruling])] as const;
  return signaturesOfCalls(input, begins, (data) => decodeFunctionData({ abi: [abi] as const, data }).args[3]);
}
