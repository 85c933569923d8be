/**
 * Who may join, and whose machine is listed, by what it has at stake, where holders have decided that a run asks for stake. The chain is asked, at most so often and
 * for no longer than a moment: while it is slow or away nobody is admitted by it, and nobody else waits for it.
 */
import { type Address, admissionCode, isAdmittedBy, type ModelId, type RunParams } from "@cotrain/sdk/protocol";
import pLimit from "p-limit";
import { formatEther, getAddress } from "viem";

import type { Clock } from "../base/index.ts";
import type { ChainReader } from "../chain/index.ts";
import { RefusedError } from "./errors.ts";

/** How long an answer of the chain holds, ms: whoever was refused deposits and comes back. */
const KNOWN_MS = 10_000;
/** Accounts that are known at a time: strangers' keys cost nothing. */
const MOST_KNOWN = 1_024;
/** How long a join waits for the chain, ms. */
const PATIENCE_MS = 5_000;
/** Questions to the chain at a time, and how many may wait for their turn. */
const AT_ONCE = 4;
const MOST_WAITING = 64;

type Asked = Pick<RunParams, "admission" | "minStake">;

export interface Admission {
  /**
   * @param params those that the next round has
   * @throws RefusedError `STAKE_MISSING`, `STAKE_UNKNOWN`
   */
  require(worker: Address, params: Asked): Promise<void>;
  /** As {@link Admission.require}, of who lets a machine. */
  requireOwner(owner: Address, params: Asked): Promise<void>;
}

interface AdmissionModules {
  readonly chain: Pick<ChainReader, "activeStake">;
  readonly clock: Clock;
}

/** Words of who is asked. */
interface Asking {
  readonly asks: string;
  readonly wallet: string;
}

const unknown = (): RefusedError =>
  new RefusedError(
    "STAKE_UNKNOWN",
    "This run asks for stake, and the chain does not say now what this account has: ask again.",
  );

export function createAdmission(modelId: ModelId, { chain, clock }: AdmissionModules): Admission {
  const known = new Map<Address, { readonly at: number; readonly active: Promise<bigint> }>();
  const inTurn = pLimit(AT_ONCE);

  /** Of which two answers say the same: of several nodes behind one address one may lag, or lie. */
  async function ask(worker: Address): Promise<bigint> {
    const [first, second] = [await chain.activeStake(modelId, worker), await chain.activeStake(modelId, worker)];
    if (first !== second) throw unknown();
    return first;
  }

  function activeOf(worker: Address): Promise<bigint> {
    const now = clock.monotonic();
    const before = known.get(worker);
    if (before && now - before.at < KNOWN_MS) return before.active;
    if (inTurn.pendingCount >= MOST_WAITING) throw unknown();
    const active = inTurn(() => ask(worker));
    const entry = { at: now, active };
    known.delete(worker);
    known.set(worker, entry);
    for (const oldest of known.keys()) {
      if (known.size <= MOST_KNOWN) break;
      known.delete(oldest);
    }
    // What was not answered is asked again.
    active.catch(() => {
      if (known.get(worker) === entry) known.delete(worker);
    });
    return active;
  }

  /** What is answered in time. */
  async function inTime(active: Promise<bigint>): Promise<bigint> {
    const waiting = new AbortController();
    const late = clock.sleep(PATIENCE_MS, waiting.signal).then(
      () => undefined,
      () => undefined,
    );
    try {
      const found = await Promise.race([active.catch(() => undefined), late]);
      if (found === undefined) throw unknown();
      return found;
    } finally {
      waiting.abort();
    }
  }

  async function requireStake(account: Address, params: Asked, { asks, wallet }: Asking): Promise<void> {
    if (params.admission === admissionCode.open) return;
    const active = await inTime(activeOf(account));
    if (isAdmittedBy(params, active)) return;
    const lacking = params.minStake - active;
    const [needed, has, name] = [formatEther(params.minStake), formatEther(active), getAddress(account)];
    throw new RefusedError(
      "STAKE_MISSING",
      `This run ${asks} ${needed} coins at stake, and ${name} has ${has} that are not leaving: "npx cotrain stake deposit ${formatEther(lacking > 0n ? lacking : params.minStake)} --yes" puts up the rest, with the ${wallet}'s wallet, --run, --deployment and --rpc.`,
    );
  }

  return {
    require: (worker, params) => requireStake(worker, params, { asks: "admits workers with", wallet: "worker" }),
    requireOwner: (owner, params) =>
      requireStake(owner, params, { asks: "takes machines of owners with", wallet: "owner" }),
  };
}
