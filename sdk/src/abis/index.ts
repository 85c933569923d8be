/** @cotrain/sdk/abis: the contracts' ABIs as constants, from which viem and abitype infer types; works with ethers too. */
export * from "./generated.ts";
