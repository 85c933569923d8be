/** What the posting machine makes of wrong estimates of its gas, in virtual time, before a node that takes what a node takes. */
import { describe, expect, it } from "vitest";

import type {
  Ask,
  AskName,
  AskOf,
  AnswerOf,
  Ending,
  Mined,
  PostingProgress,
} from "../../../offchain/src/chain/posting/asks.ts";
import type { PostingEffect, PostingEvent } from "../../../offchain/src/chain/posting/events.ts";
import { openAccount, step } from "../../../offchain/src/chain/posting/machine.ts";
import { isPossibleGas } from "../../../offchain/src/chain/posting/price.ts";

const HOUR = 3_600_000;
const GAS = 100_000n;
const NONCE = 7;
const STUCK_AFTER = 30_000;
const rules = { pollInterval: 250, stuckAfter: STUCK_AFTER, gapPatience: 10_000, confirmations: 0, maxFee: 10n ** 17n };
const refused = { kind: "refused", code: "Refused", message: "", retryable: false, revert: "Refused" } as const;

interface World {
  /** Its estimate: of gas, or that the contract refuses. */
  estimate: (now: number) => bigint | "refuses";
  /** Whether the node mines what it takes, and says that it has it. */
  mines: boolean;
  knows: boolean;
  /** Whether it leaves the effect's event out, unless all is read anew. */
  mute: boolean;
}

/** One posting before a node that is asked one thing at a time. */
function open(world: World) {
  let account = openAccount(rules);
  let effects: readonly PostingEffect[] = [];
  let progress: PostingProgress | null = null;
  /** What the node holds of the nonce, and what a block does. */
  let pooled: `0x${string}` | undefined;
  let mined: Mined | undefined;
  const gasOf = new Map<string, bigint>();
  const seen = {
    now: 0,
    ending: undefined as Ending | undefined,
    dear: 0,
    receiptsAtOnce: 0,
    sent: () => progress?.sent ?? [],
    pooled: () => pooled,
    nonces: new Set<number>(),
  };
  const mine = (): void => {
    if (world.mines && pooled) mined = { hash: pooled, block: 1, reverted: false };
  };
  const carriers: { readonly [N in AskName]: (ask: AskOf<N>) => AnswerOf<N> | "away" | "refuses" } = {
    look: ({ anew }) => ({ found: mined && (!world.mute || anew) ? { result: mined.hash } : null }),
    prepare: () => ({ ready: "send" }),
    quote: ({ gas }) => {
      const estimate = gas === "known" ? null : world.estimate(seen.now);
      if (estimate === "refuses") return "refuses";
      if (estimate !== null && !isPossibleGas(estimate)) return "away";
      const asked = { gas: estimate, maxFeePerGas: 2_000_000_000n, tip: 1_000_000_000n };
      return { nonce: gas === "first" ? NONCE + (mined ? 1 : 0) : null, asked, balance: 10n ** 18n };
    },
    sign: ({ nonce, price }) => {
      const hash = `0x${(gasOf.size + 1).toString(16)}` as const;
      gasOf.set(hash, price.gas);
      seen.nonces.add(nonce);
      const { gas, maxFeePerGas, tip } = price;
      return { sent: { hash, raw: hash, gas: `${gas}`, maxFeePerGas: `${maxFeePerGas}`, tip: `${tip}` } };
    },
    note: (ask) => ((progress = ask.progress), {}),
    broadcast: ({ raw }) => {
      const gas = gasOf.get(raw)!;
      if (!mined && gas >= 60_000n && gas <= 10_000_000n) pooled = raw;
      mine();
      return {};
    },
    receipts: ({ hashes }) => {
      seen.receiptsAtOnce = Math.max(seen.receiptsAtOnce, hashes.length);
      return { mined: mined && hashes.includes(mined.hash) ? mined : null };
    },
    tip: () => ({ block: 1 }),
    reason: () => ({ refused: null }),
    nonce: ({ at }) => ({ next: NONCE + (mined || (at === "pending" && pooled) ? 1 : 0) }),
    known: ({ hash }) => ({ known: world.knows && pooled === hash }),
    rest: ({ ms }) => ((seen.now += ms), {}),
  };
  const tell = (event: Record<string, unknown>): void => {
    const told = { ...event, at: seen.now, wall: seen.now } as PostingEvent;
    ({ state: account, effects } = step(account, told));
  };
  const carryOut = (ask: Ask): void => {
    const answer = (carriers[ask.name] as (ask: Ask) => AnswerOf<AskName> | "away" | "refuses")(ask);
    if (answer === "away") tell({ type: "failed", fault: { kind: "away" } });
    else if (answer === "refuses") tell({ type: "failed", fault: { kind: "final", reverts: true, refused } });
    else tell({ type: ask.name, ...answer });
  };
  const claim = (): void => tell({ type: "claimed", job: 1, progress });
  return {
    seen,
    mine,
    /** Goes on until it ends, at most so many ms. */
    pass(ms: number) {
      const until = seen.now + ms;
      if (effects.length === 0) claim();
      while (seen.now < until && !seen.ending)
        for (const effect of effects) {
          if (effect.type === "notify") seen.dear += effect.what === "dear" ? 1 : 0;
          else if (effect.type === "ask") carryOut(effect);
          else if (effect.type === "end") seen.ending = effect.ending;
          else if (effect.type === "later") {
            seen.now += effect.ms;
            claim();
          } else throw new Error("what never happens here");
        }
    },
  };
}

const honest = (): World => ({ estimate: () => GAS, mines: true, knows: true, mute: false });

describe("a wrong estimate of gas", () => {
  it.each([0n, 10_000n, 22_000n, 12_000_000n, 20_000_000n])(
    "once, of %s, keeps a posting for no longer than until it is stuck",
    (lie) => {
      let asked = 0;
      const posting = open({ ...honest(), estimate: () => (asked++ === 0 ? lie : GAS) });
      posting.pass(HOUR);
      expect(posting.seen.ending?.kind).toBe("done");
      expect(posting.seen.now).toBeLessThan(STUCK_AFTER + 2_000);
      expect(posting.seen.sent().length).toBeLessThanOrEqual(2);
      expect([posting.seen.dear, ...posting.seen.nonces]).toEqual([0, NONCE]);
    },
  );

  it.each([22_000n, 12_000_000n])("of %s for a day makes nothing grow, nor too dear afterwards", (lie) => {
    const posting = open({ ...honest(), estimate: (now) => (now < 24 * HOUR ? lie : GAS) });
    posting.pass(24 * HOUR);
    expect(posting.seen.ending).toBeUndefined();
    expect(posting.seen.sent().length).toBeLessThanOrEqual(32);
    expect(posting.seen.receiptsAtOnce).toBeLessThanOrEqual(4);
    posting.pass(STUCK_AFTER + 2_000);
    expect(posting.seen.ending?.kind).toBe("done");
    expect([...posting.seen.nonces]).toEqual([NONCE]);
  });

  it("hides no transaction that an honest node had taken before", () => {
    const world = { ...honest(), mines: false };
    const posting = open(world);
    posting.pass(1_000);
    const first = posting.seen.pooled();
    Object.assign(world, { knows: false, estimate: () => 22_000n });
    posting.pass(HOUR * 4);
    expect([posting.seen.ending, posting.seen.pooled()]).toEqual([undefined, first]);
    expect(posting.seen.sent()).toHaveLength(32);
    Object.assign(world, { mines: true, mute: true });
    posting.mine();
    posting.pass(HOUR);
    expect(posting.seen.ending).toEqual({ kind: "done", result: first });
    expect([...posting.seen.nonces]).toEqual([NONCE]);
  });

  it("before the contract refuses ends the posting as refused", () => {
    const posting = open({ ...honest(), estimate: (now) => (now === 0 ? 22_000n : "refuses") });
    posting.pass(HOUR);
    expect(posting.seen.ending).toEqual(refused);
  });

  it("is not asked for where another transaction of the posting waits: it is replaced with the gas that it has", () => {
    const world = { ...honest(), mines: false };
    const posting = open(world);
    posting.pass(1_000);
    Object.assign(world, { knows: false, estimate: () => "refuses" });
    posting.pass(STUCK_AFTER + 2_000);
    expect(posting.seen.ending).toBeUndefined();
    expect(posting.seen.sent().map(({ gas }) => gas)).toEqual(["125000", "125000"]);
  });
});
