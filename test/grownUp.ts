/** A model past its bootstrap, for tests of what holders may decide then: as if its terms had been met, which moves clock and books. */
import { bootstrapOf, bootstrapTerms } from "@cotrain/sdk/actions";
import type { ContractAddresses, Hex } from "@cotrain/sdk/protocol";
import { type Address, type Client, encodeAbiParameters, type EIP1193RequestFn, keccak256, pad, toHex } from "viem";
import { getBlock, getStorageAt } from "viem/actions";

/** Where BootstrapTerms has its last field: above two numbers of 32 bits and one of 128. */
const ENDED_AT = 192n;

/** Ends a model's bootstrap in the contract's storage. @param request of a development node */
export async function endBootstrapAt(
  client: Client,
  request: EIP1193RequestFn,
  { addresses, modelId }: { readonly addresses: ContractAddresses; readonly modelId: Hex },
): Promise<void> {
  const bootstrap: Address = await bootstrapOf(client, { addresses });
  // The mapping is the contract's first.
  const slot = keccak256(encodeAbiParameters([{ type: "bytes32" }, { type: "uint256" }], [modelId, 0n]));
  const terms = BigInt((await getStorageAt(client, { address: bootstrap, slot })) ?? "0x0");
  const { timestamp } = await getBlock(client);
  const ended = pad(toHex(terms | (timestamp << ENDED_AT)), { size: 32 });
  await request({ method: "hardhat_setStorageAt", params: [bootstrap, slot, ended] } as never);
  const { endedAt } = await bootstrapTerms(client, { bootstrap, modelId });
  if (BigInt(endedAt) !== timestamp) throw new Error("Bootstrap keeps its terms elsewhere.");
}
