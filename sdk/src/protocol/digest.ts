/** SHA-256 digests and the CIDs that name the same bytes: CIDv1, codec raw, so that one is computed from the other. */
import { CID } from "multiformats/cid";
import * as multihash from "multiformats/hashes/digest";
import { bytesToHex, hexToBytes, sha256 as sha256OfBytes, stringToBytes } from "viem";
import { ProtocolError } from "../baseErrors.ts";
import { canonicalJson } from "./canonicalJson.ts";
import type { Digest } from "./ids.ts";

const RAW = 0x55;
const SHA2_256 = 0x12;

/** For small things; large blobs are hashed natively, see offchain/src/base. */
export function sha256(bytes: Uint8Array): Digest {
  return sha256OfBytes(bytes, "hex") as Digest;
}

/** sha256 of a document's canonical JSON in UTF-8. */
export function digestOfJson(value: unknown): Digest {
  return sha256(stringToBytes(canonicalJson(value)));
}

/** CIDv1 (raw, base32) of the blob with this digest. */
export function cidOf(digest: Digest): string {
  return CID.createV1(RAW, multihash.create(SHA2_256, hexToBytes(digest))).toString();
}

/** @throws ProtocolError MALFORMED_CID for anything but a CIDv1 of raw bytes under SHA-256. */
export function digestOfCid(text: string): Digest {
  let cid: CID;
  try {
    cid = CID.parse(text);
  } catch (cause) {
    throw new ProtocolError("MALFORMED_CID", `"${text.slice(0, 80)}" is not a CID.`, { cause });
  }
  if (cid.version !== 1 || cid.code !== RAW || cid.multihash.code !== SHA2_256 || cid.multihash.size !== 32)
    throw new ProtocolError(
      "MALFORMED_CID",
      `${text} is not a CIDv1 of raw bytes under SHA-256, the only kind in use here.`,
    );
  return bytesToHex(cid.multihash.digest) as Digest;
}
