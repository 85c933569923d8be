/**
 * A member's session: the join is signed by its wallet, the many small requests after it carry a MAC under the random key
 * that the join reply gave (recovering a signature costs milliseconds, a MAC microseconds).
 */
import { bytesToHex, type Hex, hexToBytes, stringToBytes } from "viem";
import type { Digest } from "./ids.ts";

export const sessionHeaders = { worker: "cotrain-worker", counter: "cotrain-counter", mac: "cotrain-mac" } as const;

export interface MacInput {
  readonly method: string;
  /** Path with query as in the request line. */
  readonly path: string;
  /** sha256 of the body; of nothing where there is none. Streamed bodies are checked against it when they end. */
  readonly body: Digest;
  /** Rises with every request of the session. */
  readonly counter: number;
}

const encode = ({ method, path, body, counter }: MacInput): Uint8Array<ArrayBuffer> =>
  new Uint8Array(stringToBytes(`${method.toUpperCase()}\n${path}\n${body}\n${counter}`));

const importKey = (key: Hex, usage: "sign" | "verify"): Promise<Awaited<ReturnType<typeof crypto.subtle.importKey>>> =>
  crypto.subtle.importKey("raw", new Uint8Array(hexToBytes(key)), { name: "HMAC", hash: "SHA-256" }, false, [usage]);

/** HMAC-SHA256 over method, path, digest of the body and counter, each on a line of its own. */
export async function sessionMac(key: Hex, input: MacInput): Promise<Hex> {
  const mac = await crypto.subtle.sign("HMAC", await importKey(key, "sign"), encode(input));
  return bytesToHex(new Uint8Array(mac));
}

/** Constant-time check. */
export async function verifySessionMac(key: Hex, input: MacInput, mac: string): Promise<boolean> {
  if (!/^0x[0-9a-f]{64}$/.test(mac)) return false;
  const bytes = new Uint8Array(hexToBytes(mac as Hex));
  return crypto.subtle.verify("HMAC", await importKey(key, "verify"), bytes, encode(input));
}
