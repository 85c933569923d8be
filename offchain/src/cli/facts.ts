/** Where a run lives on-chain, as lines for people. */
import { type ChainFacts, contractNames } from "../run/index.ts";
import { table } from "./output.ts";

/** A line for the chain, one for its RPC, one for each contract. */
export const factRows = (
  facts: Pick<ChainFacts, "chainId" | "rpc" | "contracts">,
): [label: string, value: string][] => [
  ["chain id", String(facts.chainId)],
  ["RPC", facts.rpc],
  ...contractRows(facts.contracts),
];

export const contractRows = (contracts: Readonly<Record<string, string>>): [label: string, value: string][] =>
  Object.entries(contracts).map(([key, address]) => [contractNames[key] ?? key, address]);

export const factLines = (facts: Pick<ChainFacts, "chainId" | "rpc" | "contracts">): string[] => table(factRows(facts));
