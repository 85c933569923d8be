/**
 * A worker's membership as seen from the worker: joins by signature when a call needs a session and there is none, and
 * again when the coordinator does not know it any more (it restarted); waits with full jitter while nobody answers.
 */
import {
  type SigningAccount,
  type Address,
  type CoordinatorClient,
  type Digest,
  type Domain,
  type Hex,
  type Join,
  type JoinReply,
  leaseOfPass,
  protocolVersion,
  type RunId,
  type SignedPass,
  toWire,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { CoordinatorError, type CotrainError } from "@cotrain/sdk/errors";

import {
  type Backoff,
  type Clock,
  type OnRetry,
  retrying,
  type RetryOptions,
  saysRetryable,
  unlessAborted,
  UserError,
} from "../base/index.ts";
import { signStruct } from "./receipt.ts";
import type { RequestQueue } from "./requestQueue.ts";

/** The calls of a member, under the session of one join. */
export type MemberClient = ReturnType<CoordinatorClient["session"]>;

/** What every join of this worker says, but for the time. */
interface Membership {
  readonly runId: RunId;
  readonly beneficiary: Address;
  /** Of a rented machine; undefined for one's own. */
  readonly pass: SignedPass | undefined;
  readonly build: Digest;
  readonly conformance: Hex;
  /** µs that an inner step took when the conformance value was computed. */
  readonly stepMicros?: number | undefined;
  /** See `JoinRequest`. */
  readonly claim?: boolean | undefined;
}

export interface SessionKeeperOptions {
  readonly client: CoordinatorClient;
  /** The one whose `fetch` the client uses. */
  readonly requestQueue: RequestQueue;
  readonly account: SigningAccount;
  readonly domain: Domain;
  readonly membership: Membership;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly random: () => number;
  readonly onJoin: (reply: JoinReply, again: boolean) => void;
  readonly onRetry: (what: string, ...tried: Parameters<OnRetry>) => void;
}

export interface SessionKeeper {
  /**
   * Makes a call of a member. A session is opened first when there is none; while the coordinator is away, or asks to
   * come later, the call is made again until the signal is aborted.
   * @param what names the call in events
   * @throws CoordinatorError what the coordinator refuses for good, or as sent too often; the signal's reason
   */
  call<T>(what: string, work: (session: MemberClient) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** The same, once: nothing is repeated but for one new join. For heartbeats, whose next comes anyway. */
  once<T>(work: (session: MemberClient) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Makes a call in the session's name where there is one now; undefined where there is none. */
  vouched<T>(work: (session: MemberClient) => Promise<T>): Promise<T> | undefined;
  /** Tells the coordinator that this worker goes, if there is a session or one is being opened; once, best effort. */
  leave(): Promise<void>;
  /** Seconds between heartbeats, undefined before the first join. */
  readonly heartbeatSeconds: number | undefined;
}

/**
 * Refusals of what was sent too often for one assignment. What is still on its way there may fail and make room, so they are tried
 * again, a few times; the assignment takes no more of it otherwise, however long one waits.
 */
export const SPENT: ReadonlySet<string> = new Set(["TOO_MANY_UPLOADS", "TOO_MANY_RECEIPTS"]);
/** So many of them end a call. */
const MOST_SPENT = 4;

/** Whether the coordinator does not accept the session: it restarted, or took the worker for dead. */
const isSessionLost = (error: unknown): boolean => error instanceof CoordinatorError && error.status === 401;

/** What one membership is at the moment. */
interface MembershipState {
  session: MemberClient | undefined;
  /** The join under way, which all callers share. */
  joining: Promise<MemberClient> | undefined;
  lastIssuedAt: number;
  joins: number;
  heartbeatSeconds: number | undefined;
}

export function createSessionKeeper(options: SessionKeeperOptions): SessionKeeper {
  const { clock, backoff, random, requestQueue } = options;
  const state: MembershipState = {
    session: undefined,
    joining: undefined,
    lastIssuedAt: 0,
    joins: 0,
    heartbeatSeconds: undefined,
  };
  return {
    call: (what, work, signal) => {
      let spent = 0;
      const isSpent = ({ code }: CotrainError): boolean => SPENT.has(code) && ++spent >= MOST_SPENT;
      const retry: RetryOptions = {
        clock,
        signal,
        backoff,
        random,
        retryable: (error) => (saysRetryable(error) && !isSpent(error)) || isSessionLost(error),
        onRetry: (...tried) => options.onRetry(what, ...tried),
      };
      return retrying(() => callOnce(options, state, work, signal), retry);
    },
    once: (work, signal) => callOnce(options, state, work, signal),
    vouched: (work) => {
      const used = state.session;
      return used && requestQueue.enter(() => work(used));
    },
    leave: async () => {
      // A join may be under way that nobody waits for any more: what it opens is left, too.
      const used = state.session ?? (await state.joining);
      state.session = undefined;
      if (used) await requestQueue.enter(() => used.leave());
    },
    get heartbeatSeconds() {
      return state.heartbeatSeconds;
    },
  };
}

async function join(options: SessionKeeperOptions, state: MembershipState): Promise<MemberClient> {
  const { client, account, domain, membership, clock } = options;
  const worker = account.address.toLowerCase() as Address;
  // Each counts once: above the last one within a second, and by the clock again when that was set.
  const now = clock.now();
  const { lastIssuedAt } = state;
  state.lastIssuedAt = now <= lastIssuedAt && lastIssuedAt - now < 1_000 ? lastIssuedAt + 1 : now;
  const { stepMicros, pass, claim, ...signed } = membership;
  const struct: Join = {
    ...signed,
    lease: pass === undefined ? zeroHash : leaseOfPass(pass),
    worker,
    protocolMin: protocolVersion.min,
    protocolMax: protocolVersion.max,
    issuedAt: BigInt(state.lastIssuedAt),
  };
  const signature = await signStruct(account, domain, "Join", struct);
  const reply = await client.join(membership.runId, {
    join: toWire("Join", struct),
    signature,
    ...(pass !== undefined && { pass }),
    ...(stepMicros !== undefined && { stepMicros }),
    ...(claim !== undefined && { claim }),
  });
  if (reply.protocol < protocolVersion.min || reply.protocol > protocolVersion.max) {
    throw new UserError(
      "PROTOCOL_VERSION",
      `The coordinator chose protocol ${reply.protocol}; this worker speaks ${protocolVersion.min} to ${protocolVersion.max}: update Cotrain.`,
    );
  }
  const session = client.session(membership.runId, worker, reply.sessionKey);
  state.heartbeatSeconds = Math.max(1, reply.heartbeatSeconds);
  state.session = session;
  state.joins += 1;
  options.onJoin(reply, state.joins > 1);
  return session;
}

/** The session there is, or one new join that all callers share. */
function current(options: SessionKeeperOptions, state: MembershipState): Promise<MemberClient> {
  if (state.session) return Promise.resolve(state.session);
  state.joining ??= join(options, state).finally(() => {
    state.joining = undefined;
  });
  return state.joining;
}

async function callOnce<T>(
  options: SessionKeeperOptions,
  state: MembershipState,
  work: (session: MemberClient) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (let rejoined = false; ; rejoined = true) {
    signal.throwIfAborted();
    const used = await unlessAborted(current(options, state), signal);
    try {
      // Large uploads have minutes to fail.
      return await unlessAborted(
        options.requestQueue.enter(() => work(used)),
        signal,
      );
    } catch (error) {
      if (!isSessionLost(error)) throw error;
      if (state.session === used) state.session = undefined;
      // A session that is new and lost again is a refusal like any other, tried again with a pause.
      if (rejoined) throw error;
    }
  }
}
