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
  LOSS_STEPS,
  type MacInput,
  verifySessionMac,
} from "@cotrain/sdk/protocol";
import type { Clock } from "../base/index.ts";
import { tokensOf } from "../data/index.ts";
import { isDiskFull, type Logger } from "../service/index.ts";
import type { Driver } from "./driver.ts";
import { RefusedError } from "./errors.ts";
import { outstandingOf } from "./machine/dealing.ts";
import type { WorkReport } from "./machine/effects.ts";
import type { Unstamped } from "./machine/events.ts";
import { JOINS_KEPT } from "./machine/members.ts";
import { type Refusal, staleAmong } from "./machine/rules.ts";

/** Nats per token; an even guess over 65,536 tokens has 11. What a member says beyond it counts as not said. */
const MAX_LOSS = 100;
/** Tokens per second of one member, the same. */
const MAX_SPEED = 1e8;

/** Sessions of former members that are kept; who opened one first and lost it opens another. */
const FORMER_KEPT = 1_024;

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

interface FormerSession extends Session {
  /** When the joins were issued that opened it and those before it, ms; oldest first. */
  readonly joins: readonly number[];
}

/** When who was last heard of, and what it said. */
export class Presence {
  readonly options: PresenceOptions;
  readonly #driver: Driver;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #startedAt: number;
  readonly #sessions = new Map<Address, Session>();
  readonly #former = new Map<Address, FormerSession>();
  readonly #heard = new Map<Address, number>();
  readonly #heartbeats = new Map<Address, Heartbeat>();
  readonly #held = new Map<Address, number>();

  constructor(driver: Driver, clock: Clock, logger: Logger, options: PresenceOptions) {
    this.options = options;
    this.#driver = driver;
    this.#clock = clock;
    this.#logger = logger;
    this.#startedAt = clock.monotonic();
  }

  /** Makes the session of a join that was accepted; the one before ends. */
  open(worker: Address): Hex {
    const session = newSession();
    this.#sessions.set(worker, session);
    this.#heartbeats.delete(worker);
    this.#heard.set(worker, this.#clock.monotonic());
    return session.key;
  }

  /**
   * Makes a session in a finished run for who is no member of it (any more): under it one may ask for acknowledgements that one
   * missed, and gets no work. It stands in no log.
   * @param issuedAt of its join, ms
   * @throws RefusedError STALE_JOIN
   */
  openFormer(worker: Address, issuedAt: number): Hex {
    const stale = this.staleFormer(worker, issuedAt);
    if (stale) throw new RefusedError(stale.code, stale.message);
    const joins = [...(this.#former.get(worker)?.joins ?? []), issuedAt].slice(-JOINS_KEPT);
    const session = { ...newSession(), joins };
    this.#former.delete(worker);
    this.#former.set(worker, session);
    const [oldest] = this.#former.keys();
    if (this.#former.size > FORMER_KEPT && oldest !== undefined) this.#former.delete(oldest);
    return session.key;
  }

  /** Why a join of this time, ms, opens no session of a former member (any more); null where it may. */
  staleFormer(worker: Address, issuedAt: number): Refusal | null {
    return staleAmong(this.#former.get(worker)?.joins ?? [], issuedAt, this.#clock.now());
  }

  /** Whether this process had a session that the member used: a new join then means that the member's process is new. */
  knows(worker: Address): boolean {
    return this.#sessions.get(worker)?.used ?? false;
  }

  /** Whether the member has a session here, whose MAC is worth checking. */
  has(worker: string): boolean {
    const { members } = this.#driver.state;
    return this.#sessions.has(worker as Address) && members[worker as Address] !== undefined;
  }

  /**
   * Checks a request's MAC and marks the member as alive.
   * @throws RefusedError SESSION_UNKNOWN, BAD_MAC, STALE_COUNTER
   */
  async authenticate(worker: Address, input: MacInput, mac: string): Promise<void> {
    const sessions = this.#driver.state.members[worker] ? this.#sessions : this.#former;
    const session = sessions.get(worker);
    if (!session) {
      throw new RefusedError("SESSION_UNKNOWN", `There is no session of ${worker} here (any more): join again.`);
    }
    if (!(await verifySessionMac(session.key, input, mac))) {
      throw new RefusedError("BAD_MAC", `The MAC of this request is not the one of ${worker}'s session.`);
    }
    claimCounter(session, input.counter);
    session.used = true;
    this.#hear(worker);
  }

  /** A member whose request stays open is there. @returns how to say that it ended */
  hold(worker: Address): () => void {
    this.#held.set(worker, (this.#held.get(worker) ?? 0) + 1);
    return () => {
      const left = (this.#held.get(worker) ?? 1) - 1;
      if (left > 0) this.#held.set(worker, left);
      else this.#held.delete(worker);
      this.#hear(worker);
    };
  }

  /** Notes what a member says of itself; numbers that nobody can have measured count as not said. */
  beat(worker: Address, { loss, lossTokens = 0, ...heartbeat }: Heartbeat): void {
    const { facts, members } = this.#driver.state;
    const member = members[worker];
    if (!member) return;
    const { batch } = member;
    const most = tokensOf({ steps: LOSS_STEPS, batch, sequence: facts.sequence });
    // A loss counts with the size of its sample or not at all: one that does not say it would hide that of all of them.
    const possible = within(loss, MAX_LOSS) !== null && lossTokens >= 1 && lossTokens <= most;
    this.#heartbeats.set(worker, {
      ...heartbeat,
      ...(possible ? { loss, lossTokens } : { loss: null }),
      tokensPerSecond: within(heartbeat.tokensPerSecond, MAX_SPEED),
    });
  }

  /** Ms since the member was last heard of, or since this process began. */
  heardMs(worker: Address): number {
    if (this.#held.has(worker)) return 0;
    return Math.max(0, Math.floor(this.#clock.monotonic() - (this.#heard.get(worker) ?? this.#startedAt)));
  }

  heartbeatOf(worker: Address): Heartbeat | undefined {
    return this.#heartbeats.get(worker);
  }

  /** What the member said of this assignment; nothing where it claims more steps than there are. */
  progressOf({ worker, round, steps }: Pick<Assignment, "worker" | "round" | "steps">): Heartbeat | undefined {
    const beat = this.#heartbeats.get(worker);
    return beat?.round === round && beat.step <= steps ? beat : undefined;
  }

  /** What those who have not submitted in the open round reported of it last. */
  reports(): Readonly<Record<Address, WorkReport>> {
    const { current } = this.#driver.state;
    const found: Record<Address, WorkReport> = {};
    for (const { assignment } of current ? outstandingOf(current) : []) {
      const beat = this.progressOf(assignment);
      if (beat) found[assignment.worker] = { step: beat.step, uploading: beat.uploading };
    }
    return found;
  }

  forget(worker: Address): void {
    this.#sessions.delete(worker);
    this.#heard.delete(worker);
    this.#heartbeats.delete(worker);
  }

  /** Looks who has been silent for too long. */
  async check(): Promise<void> {
    const now = this.#clock.monotonic();
    for (const { worker, silent } of Object.values(this.#driver.state.members)) {
      if (this.#held.has(worker)) continue;
      const quiet = now - (this.#heard.get(worker) ?? this.#startedAt);
      if (quiet >= this.options.evictAfter) {
        await this.#offer({ type: "MemberLeft", worker, reason: "evicted" });
        this.#logger.info({ worker, quietMs: quiet }, "member evicted");
      } else if (quiet >= this.options.silentAfter && !silent) {
        await this.#offer({ type: "MemberSilent", worker });
      }
    }
  }

  #hear(worker: Address): void {
    const member = this.#driver.state.members[worker];
    if (!member) return;
    this.#heard.set(worker, this.#clock.monotonic());
    if (member.silent) void this.#offer({ type: "MemberReturned", worker });
  }

  /** An event that may have become obsolete meanwhile. */
  async #offer(event: Unstamped): Promise<void> {
    try {
      await this.#driver.submit(event);
    } catch (error) {
      if (!(error instanceof RefusedError) && !isDiskFull(error))
        this.#logger.warn({ err: error, type: event.type }, "presence could not be recorded");
    }
  }
}

const newSession = (): Session => ({
  key: `0x${randomBytes(32).toString("hex")}`,
  used: false,
  highest: 0,
  seen: 0n,
});

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
