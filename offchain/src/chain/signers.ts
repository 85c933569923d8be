/** Who signed what came to the chain with signatures, or is to: anybody may have put others beside those that count. */
import {
  type Address,
  asAddress,
  type Attestation,
  type ContractAddresses,
  type Domain,
  domainFor,
  type Hex,
  recoverSigner,
  type Struct,
  type StructName,
} from "@cotrain/sdk/protocol";

/** Signatures under a struct, each behind its signer, in their order; what is nobody's signature is left out. */
export async function recoverSigners<N extends StructName>(
  domain: Domain,
  name: N,
  struct: Struct<N>,
  signatures: readonly Hex[],
): Promise<readonly (readonly [Address, Hex])[]> {
  const found = await Promise.all(
    signatures.map(async (signature) => {
      const signer = await recoverSigner(domain, name, struct, signature).catch(() => undefined);
      return signer === undefined ? [] : [[signer, signature] as const];
    }),
  );
  return found.flat();
}

/** Signatures under a model's root, as {@link recoverSigners} answers them. */
export const rootSigners = (
  chainId: number,
  { computeRewards }: Pick<ContractAddresses, "computeRewards">,
  attestation: Attestation,
  signatures: readonly Hex[],
): ReturnType<typeof recoverSigners> =>
  recoverSigners(domainFor(chainId, asAddress(computeRewards)), "Attestation", attestation, signatures);
