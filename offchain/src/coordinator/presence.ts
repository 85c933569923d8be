/**
 * Soft state about members: sessions, heartbeats, when each was last heard of. Lost with the process; what it leads to
 * (silent, evicted) enters the log as events.
 */
import { randomBytes } from "node:crypto";

import {
  type Address,
  type Assignment,
  type Heartbeat,
  type Hex,
  type MacInput,
  verifySessionMac,
} from "@cotrain/sdk/protocol";
import type { Clock } from "../base/index.ts";
import { isDiskFull, type Logger } from "../service/index.ts";
import type { Driver } from "./driver.ts";
import { RefusedError } from "./errors.ts";
import { outstandingOf } from "./machine/dealing.ts";
import type { WorkReport } from "./machine/effects.ts";

/** Nats per token; an even guess over 65,536 tokens has 11. What a member says beyond it counts as not said. */
const MAX_LOSS = 100;
/** Tokens per second of one member, the same. */
const MAX_SPEED = 1e8;

/** Requests of one session may overtake each other by this many. */
const COUNTER_WINDOW = 64;

export interface PresenceOptions {
  /** Told to members when they join. */
  readonly heartbeatSeconds: number;
  /** A member that was not heard of for this long is silent, ms. */
  readonly silentAfter: number;
  /** And evicted after this long, ms; nobody is for as long after a start. */
  readonly evictAfter: number;
}

interface Session {
  readonly key: Hex;
  /** Whether a request of the member's came under it: then the member knows the key. */
  used: boolean;
  highest: number;
  /** Bit i: counter `highest` − i was seen. */
  seen: bigint;
}

export interface Presence {
  readonly options: PresenceOptions;
  /** Makes the session of a join that was accepted; the one before ends. */
  open(worker: Address): Hex;
  /** Whether this process had a session that the member used: a new join then means that the member's process is new. */
  knows(worker: Address): boolean;
  /** Whether the member has a session here, whose MAC is worth checking. */
  has(worker: string): boolean;
  /**
   * Checks a request's MAC and marks the member as alive.
   * @throws RefusedError SESSION_UNKNOWN, BAD_MAC, STALE_COUNTER
   */
  authenticate(worker: Address, input: MacInput, mac: string): Promise<void>;
  /** Notes what a member says of itself; numbers that nobody can have measured count as not said. */
  beat(worker: Address, heartbeat: Heartbeat): void;
  /** A member whose request stays open is there. @returns how to say that it ended */
  hold(worker: Address): () => void;
  heartbeatOf(worker: Address): Heartbeat | undefined;
  /** What the member said of this assignment; nothing where it claims more steps than there are. */
  progressOf(assignment: Pick<Assignment, "worker" | "round" | "steps">): Heartbeat | undefined;
  /** What those who have not submitted in the open round reported of it last. */
  reports(): Readonly<Record<Address, WorkReport>>;
  forget(worker: Address): void;
  /** Looks who has been silent for too long. */
  check(): Promise<void>;
}

export function createPresence(driver: Driver, clock: Clock, logger: Logger, options: PresenceOptions): Presence {
  const startedAt = clock.monotonic();
  const sessions = new Map<Address, Session>();
  const heard = new Map<Address, number>();
  const heartbeats = new Map<Address, Heartbeat>();
  const held = new Map<Address, number>();

  /** An event that may have become obsolete meanwhile. */
  const offer = async (event: Parameters<Driver["submit"]>[0]): Promise<void> => {
    try {
      await driver.submit(event);
    } catch (error) {
      if (!(error instanceof RefusedError) && !isDiskFull(error))
        logger.warn({ err: error, type: event.type }, "presence could not be recorded");
    }
  };

  const hear = (worker: Address): void => {
    if (!driver.state.members[worker]) return;
    heard.set(worker, clock.monotonic());
    if (driver.state.members[worker]?.silent) void offer({ type: "MemberReturned", worker });
  };

  const progressOf: Presence["progressOf"] = ({ worker, round, steps }) => {
    const beat = heartbeats.get(worker);
    return beat?.round === round && beat.step <= steps ? beat : undefined;
  };

  return {
    options,
    open: (worker) => {
      const key: Hex = `0x${randomBytes(32).toString("hex")}`;
      sessions.set(worker, { key, used: false, highest: 0, seen: 0n });
      heartbeats.delete(worker);
      heard.set(worker, clock.monotonic());
      return key;
    },
    knows: (worker) => sessions.get(worker)?.used ?? false,
    has: (worker) => sessions.has(worker as Address) && driver.state.members[worker as Address] !== undefined,
    authenticate: async (worker, input, mac) => {
      const session = sessions.get(worker);
      if (!session || !driver.state.members[worker]) {
        throw new RefusedError("SESSION_UNKNOWN", `There is no session of ${worker} here (any more): join again.`);
      }
      if (!(await verifySessionMac(session.key, input, mac))) {
        throw new RefusedError("BAD_MAC", `The MAC of this request is not the one of ${worker}'s session.`);
      }
      claimCounter(session, input.counter);
      session.used = true;
      hear(worker);
    },
    hold: (worker) => {
      held.set(worker, (held.get(worker) ?? 0) + 1);
      return () => {
        const left = (held.get(worker) ?? 1) - 1;
        if (left > 0) held.set(worker, left);
        else held.delete(worker);
        hear(worker);
      };
    },
    beat: (worker, heartbeat) =>
      void heartbeats.set(worker, {
        ...heartbeat,
        loss: within(heartbeat.loss, MAX_LOSS),
        tokensPerSecond: within(heartbeat.tokensPerSecond, MAX_SPEED),
      }),
    heartbeatOf: (worker) => heartbeats.get(worker),
    progressOf,
    reports: () => {
      const { current } = driver.state;
      const found: Record<Address, WorkReport> = {};
      for (const { assignment } of current ? outstandingOf(current) : []) {
        const beat = progressOf(assignment);
        if (beat) found[assignment.worker] = { step: beat.step, uploading: beat.uploading };
      }
      return found;
    },
    forget: (worker) => {
      sessions.delete(worker);
      heard.delete(worker);
      heartbeats.delete(worker);
    },
    check: async () => {
      const now = clock.monotonic();
      for (const member of Object.values(driver.state.members)) {
        if (held.has(member.worker)) continue;
        const quiet = now - (heard.get(member.worker) ?? startedAt);
        if (quiet >= options.evictAfter) {
          await offer({ type: "MemberLeft", worker: member.worker, reason: "evicted" });
          logger.info({ worker: member.worker, quietMs: quiet }, "member evicted");
        } else if (quiet >= options.silentAfter && !member.silent) {
          await offer({ type: "MemberSilent", worker: member.worker });
        }
      }
    },
  };
}

const within = (value: number | null, most: number): number | null =>
  value !== null && value >= 0 && value <= most ? value : null;

/** A counter counts once, and not when it lies too far behind. @throws RefusedError STALE_COUNTER */
function claimCounter(session: Session, counter: number): void {
  const ahead = counter - session.highest;
  const stale = new RefusedError(
    "STALE_COUNTER",
    `Counter ${counter} was used, or is too far below ${session.highest}.`,
  );
  if (ahead > 0) {
    session.seen =
      ahead >= COUNTER_WINDOW ? 1n : ((session.seen << BigInt(ahead)) | 1n) & ((1n << BigInt(COUNTER_WINDOW)) - 1n);
    session.highest = counter;
    return;
  }
  if (-ahead >= COUNTER_WINDOW) throw stale;
  const bit = 1n << BigInt(-ahead);
  if ((session.seen & bit) !== 0n) throw stale;
  session.seen |= bit;
}
