/**
 * Requests under a member's session. Whose they are is known from the headers, which announce the digest of the body, before any
 * of the body is awaited. They are counted for each member, so that many behind one address do not pay for each other; those that
 * are no member's are counted against the address, and cost nobody behind it his own.
 */
import { type Address, asDigest, contentDigestHeader, type Digest, sessionHeaders } from "@cotrain/sdk/protocol";
import type { FastifyInstance, FastifyRequest } from "fastify";

import { InternalError, sha256Bytes } from "../base/index.ts";
import { addressRate, type HttpApp, rateOf } from "../service/index.ts";
import { RefusedError } from "./errors.ts";
import type { Run } from "./run.ts";

/** sha256 of no bytes. */
const emptyDigest = sha256Bytes(new Uint8Array());

export const headerOf = (request: FastifyRequest, name: string): string => {
  const value = request.headers[name];
  return typeof value === "string" ? value : "";
};

export interface MemberRequests {
  /**
   * Holds the body of a request to a member's route against the digest that it announced, before the body is parsed.
   * @throws RefusedError WRONG_DIGEST
   */
  hold(request: FastifyRequest, body: Uint8Array): void;
  /** What a member's route takes into its options. */
  readonly hooks: MemberHooks;
  /** Whose request it is, in the handler of such a route. */
  of(request: FastifyRequest): Address;
  /** What a route that anybody may GET takes, so that a request under a session is counted for its member. */
  readonly openHooks: MemberHooks;
  /** Whose session vouches for the request to such a route; undefined: counted as a stranger's. */
  vouched(request: FastifyRequest): Address | undefined;
}

type Hook = (request: FastifyRequest) => Promise<void>;

interface MemberHooks {
  readonly config: { readonly rateLimit: false };
  readonly onRequest: Hook;
}

/** Whose a request is, and what its body is to be. */
interface Asked {
  readonly worker: Address;
  readonly body: Digest;
}

export function createMemberRequests(
  app: HttpApp,
  findRun: (request: FastifyRequest) => Run | undefined,
  runOf: (request: FastifyRequest) => Run,
): MemberRequests {
  const requests = new WeakMap<FastifyRequest, Asked>();
  const counter = app as unknown as FastifyInstance;
  const chargeAddress = addressRate(counter);
  const of = (request: FastifyRequest): Address => {
    const worker = requests.get(request)?.worker;
    if (!worker) throw new InternalError("NOT_A_MEMBERS", "The route that was asked is no member's.");
    return worker;
  };
  const chargeMember = rateOf(counter, "member", (request) => `${runOf(request).runId}/${of(request)}`);

  const admit: Hook = async (request) => {
    const body = announcedDigest(request);
    try {
      requests.set(request, { worker: await authenticated(runOf(request), request, body), body });
    } catch (error) {
      // Anybody can send a member's name without its key: it is the address that pays, not the member.
      await chargeAddress(request);
      throw error;
    }
    // Once a run is over any key has a session for a signature: it is the address that pays for those that are no member's.
    await (runOf(request).presence.has(of(request)) ? chargeMember : chargeAddress)(request);
  };

  /** A session that is over, or headers that somebody copied, make a stranger's request of it, which is answered all the same. */
  const vouch: Hook = async (request) => {
    const run = findRun(request);
    const worker = run?.presence.has(headerOf(request, sessionHeaders.worker))
      ? await authenticated(run, request, emptyDigest).catch((error: unknown) => {
          if (!(error instanceof RefusedError)) throw error;
        })
      : undefined;
    if (!worker) return chargeAddress(request);
    requests.set(request, { worker, body: emptyDigest });
    await chargeMember(request);
  };

  return {
    openHooks: { config: { rateLimit: false }, onRequest: vouch },
    vouched: (request) => requests.get(request)?.worker,
    hold: (request, body) => {
      const due = requests.get(request)?.body;
      if (due === undefined || due === sha256Bytes(body)) return;
      throw new RefusedError("WRONG_DIGEST", `The body is not the one whose digest ${contentDigestHeader} announced.`);
    },
    of,
    hooks: { config: { rateLimit: false }, onRequest: admit },
  };
}

/** What the request says that its body is; without a word that it has none. */
function announcedDigest(request: FastifyRequest): Digest {
  const text = headerOf(request, contentDigestHeader);
  return /^0x[0-9a-f]{64}$/.test(text) ? asDigest(text) : emptyDigest;
}

/** The member whose session the request came under. @throws RefusedError */
async function authenticated(run: Run, request: FastifyRequest, body: Digest): Promise<Address> {
  const worker = headerOf(request, sessionHeaders.worker);
  const counter = headerOf(request, sessionHeaders.counter);
  if (!/^0x[0-9a-f]{40}$/.test(worker) || !/^[1-9][0-9]{0,14}$/.test(counter)) {
    throw new RefusedError(
      "SESSION_UNKNOWN",
      `The request names no session: ${sessionHeaders.worker} and ${sessionHeaders.counter} are due.`,
    );
  }
  const input = { method: request.method, path: request.raw.url ?? request.url, body, counter: Number(counter) };
  await run.presence.authenticate(worker as Address, input, headerOf(request, sessionHeaders.mac));
  return worker as Address;
}
