/** HTTP to an RPC that a stranger names: it reaches the public Internet alone, whatever a name resolves to. */
import { lookup } from "node:dns";
import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";

import { redactUrl, RetryableError } from "../base/index.ts";
import { isPublicAddress } from "../service/index.ts";

/** Of an answer: a few numbers are asked for, and logs. */
const MOST_BYTES = 16 << 20;
/** Statuses whose answers have no body. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, "$1");

/** Whether a URL may be one of the public Internet: an address that is, or a name, which is looked at when it is resolved. */
export function mayBePublic(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const host = hostOf(url);
  return /^https?:$/.test(url.protocol) && (isIP(host) === 0 || isPublicAddress(host));
}

async function bodyOf(url: URL, answer: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MOST_BYTES)
      throw new RetryableError("CHAIN_RPC", `The RPC at ${redactUrl(url.href)} answers with more than is read.`);
    parts.push(part);
  }
  return Uint8Array.from(Buffer.concat(parts));
}

interface PublicFetchOptions {
  /** Default: {@link isPublicAddress}. */
  readonly isAllowed?: (address: string) => boolean;
  /** Default: the system's. */
  readonly resolve?: LookupFunction;
}

/** `fetch` for viem that connects to public addresses alone and follows no redirect. */
export function publicFetch({ isAllowed = isPublicAddress, resolve = lookup }: PublicFetchOptions = {}) {
  return async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const asked = new Request(input, init);
    const url = new URL(asked.url);
    const host = hostOf(url);
    const refused = (): RetryableError =>
      new RetryableError(
        "CHAIN_UNREACHABLE",
        `The RPC at ${redactUrl(url.href)} is not in the public Internet, so it is not asked on a stranger's word: name it with --rpc.`,
      );
    // An address is connected to without a look-up.
    if (isIP(host) !== 0 && !isAllowed(host)) throw refused();
    // The addresses that are looked at are those that are connected to: a name that is resolved twice may change between.
    const lookupPublic: LookupFunction = (name, options, callback) =>
      resolve(name, { ...options, all: true }, (error, found) => {
        const all = typeof found === "string" ? [{ address: found, family: isIP(found) }] : found;
        const reached = error ? [] : all.filter(({ address }) => isAllowed(address));
        const [first] = reached;
        if (error) callback(error, "");
        else if (first === undefined) callback(refused(), "");
        else if (options.all) callback(null, reached);
        else callback(null, first.address, first.family);
      });
    const body = Buffer.from(await asked.arrayBuffer());
    const { promise, resolve: answered, reject } = Promise.withResolvers<IncomingMessage>();
    const { method, signal } = asked;
    const headers = { ...Object.fromEntries(asked.headers), "content-length": body.length };
    const request = url.protocol === "https:" ? requestHttps : requestHttp;
    const options = { method, headers, signal, lookup: lookupPublic, agent: false } as const;
    request(url, options, answered).on("error", reject).end(body);
    const answer = await promise;
    const bytes = await bodyOf(url, answer);
    const status = answer.statusCode ?? 502;
    const told = Object.entries(answer.headers).flatMap(([name, value]) =>
      typeof value === "string" ? [[name, value] as [string, string]] : [],
    );
    return new Response(BODILESS.has(status) ? null : bytes, { status, headers: told });
  };
}
