/**
 * Roots of revenue: of the epochs that are over, when enough arrived in them. Such a root follows from the chain alone, so nothing of it
 * is in the run's log: a restart computes it anew, of another block. It is published beside the epochs, validators that computed the
 * same sign it, and the posting journal sends what a quorum has signed. What somebody else posted is activated as well. Revenue is a
 * model's: of its runs the newest one's coordinator has the duty, and those of runs before it nothing to do with it any more.
 */
import {
  type Accepted,
  asModelId,
  type AttestationRequest,
  type EpochView,
  type Hex,
  rewardKind,
  type RunId,
  toWire,
} from "@cotrain/sdk/protocol";

import type { SignedRoot } from "../chain/index.ts";
import type { RevenueAccounts, RevenueStatement } from "../run/index.ts";
import { RefusedError } from "./errors.ts";
import type { RunModules } from "./run.ts";

/** What must have arrived before a root is made of it, in whole tokens. */
export const REVENUE_AT_LEAST = 1;

export interface RevenueDuty {
  /** Does what is due. Rejects when the chain is away. */
  look(): Promise<void>;
  /** The root that collects signatures. */
  published(): EpochView | undefined;
  /**
   * @param verify rejects where the validator did not sign it
   * @returns undefined where the request is about no root of revenue
   * @throws RefusedError `NOT_A_VALIDATOR`; what `verify` throws
   */
  accept(
    epoch: number,
    request: AttestationRequest,
    verify: (struct: RevenueStatement["struct"]) => Promise<void>,
  ): Promise<Accepted | undefined>;
}

export interface RevenueModules extends Pick<RunModules, "chain" | "logger"> {
  readonly accounts: RevenueAccounts;
}

/** Sends one transaction at a time, of which looks do not wait. */
function createSender(logger: RevenueModules["logger"]) {
  let sending = false;
  /** What was said of why it failed: what lasts is said once. */
  let said: string | undefined;
  const failed = (what: string, error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error);
    if (said !== reason) logger.warn({ err: error }, `the root of revenue was not ${what}, it is tried again`);
    said = reason;
  };
  return {
    isBusy: (): boolean => sending,
    /** @param what becomes of the root */
    send: (what: string, work: () => Promise<unknown>): void => {
      sending = true;
      const sent = work().then(
        () => logger.info(`the root of revenue was ${what}`),
        (error: unknown) => failed(what, error),
      );
      void sent.finally(() => (sending = false));
    },
  };
}

const signaturesOf = ({ signatures }: RevenueStatement) =>
  [...signatures].map(([validator, signature]) => ({ validator, signature }));

const viewOf = (statement: RevenueStatement): EpochView => ({
  epoch: Number(statement.struct.toEpoch),
  manifest: statement.struct.epochDigest,
  attestation: toWire("Attestation", statement.struct),
  signatures: signaturesOf(statement),
  state: "collecting",
  transaction: null,
});

/** Whether a root that collects signatures can be posted yet. */
async function stands({ struct }: RevenueStatement, { chain }: Pick<RevenueModules, "chain">): Promise<boolean> {
  const modelId = asModelId(struct.modelId);
  const [now, active, set] = await Promise.all([
    chain.chainTime(),
    chain.rootsOfKind(rewardKind.revenue).activeRoot(modelId),
    chain.validators(modelId),
  ]);
  const before = Number(struct.index) - 1;
  return now <= Number(struct.deadline) && (active?.index ?? 0) === before && set.version === struct.setVersion;
}

/** Whose duty it is. */
interface OfRun {
  readonly modelId: Parameters<RevenueAccounts["next"]>[0];
  readonly runId: RunId;
}

/** Two coordinators would have validators sign two roots of the same epochs, and post them against each other. */
function ownershipOf({ modelId, runId }: OfRun, { chain, logger }: Pick<RevenueModules, "chain" | "logger">) {
  let told = false;
  return async (): Promise<boolean> => {
    const newest = (await chain.runsOf(modelId)).at(-1);
    if (newest !== runId && !told)
      logger.info(
        { newest },
        "roots of revenue are for the coordinator of the model's newest run, which is not this one",
      );
    told = newest !== runId;
    return newest === runId;
  };
}

/** @param atLeast see `RevenueAccounts.next` */
export function createRevenueDuty(
  { modelId, runId }: OfRun,
  atLeast: number,
  { chain, logger, accounts }: RevenueModules,
): RevenueDuty {
  const { isBusy, send } = createSender(logger);
  const isOurs = ownershipOf({ modelId, runId }, { chain, logger });
  let open: RevenueStatement | undefined;
  /** The last epoch up to which it was looked whether enough arrived: what is too little is not looked at again before the next is over. */
  let looked = 0;
  /** The attestation whose dispute was told of. */
  let disputed: Hex | undefined;

  /** Says that holders vote, and ends the dispute when their vote is over: until then nothing that arrives is paid. */
  async function settle({ epoch, digest }: SignedRoot): Promise<void> {
    if (disputed !== digest) logger.warn({ epoch, digest }, "the root of revenue is disputed: holders vote on it");
    disputed = digest;
    const dispute = await chain.rootsOfKind(rewardKind.revenue).openDispute(modelId);
    if (dispute?.digest === digest && (await chain.chainTime()) > dispute.votesUntil)
      send("settled", () => chain.settleDispute(modelId, dispute, rewardKind.revenue));
  }

  async function activate(pending: SignedRoot): Promise<void> {
    const { epoch, index, activatableAt } = pending;
    open = undefined;
    if (activatableAt === undefined) await settle(pending);
    else if ((await chain.chainTime()) >= activatableAt)
      send("activated", () => chain.activateRoot(modelId, epoch, `revenue/activate/${index}`, rewardKind.revenue));
  }

  async function begin(): Promise<void> {
    const over = (await chain.epochOf(modelId, await chain.settledTime())) - 1;
    if (over <= looked) return;
    open = await accounts.next(modelId, atLeast);
    looked = over;
    if (!open) return;
    const { index, fromEpoch, toEpoch, root, total } = open.struct;
    logger.info({ index, fromEpoch, toEpoch, root, total }, "a root of revenue was computed and is to be signed");
  }

  return {
    look: async () => {
      if (isBusy()) return;
      if (!(await isOurs())) return void ([open, looked] = [undefined, 0]);
      const pending = await chain.rootsOfKind(rewardKind.revenue).pendingRoot(modelId);
      if (pending) return activate(pending);
      if (open && !(await stands(open, { chain }))) [open, looked] = [undefined, 0];
      if (!open) await begin();
      if (!open || open.signatures.size < open.threshold) return;
      const { struct } = open;
      const signatures = signaturesOf(open);
      send("posted", () => chain.postRoot(struct, signatures, `revenue/${struct.index}/${struct.deadline}`));
    },
    published: () => open && viewOf(open),
    accept: async (epoch, { epochDigest, validator, signature }, verify) => {
      const asked = open?.struct;
      if (!open || asked?.epochDigest !== epochDigest || Number(asked.toEpoch) !== epoch) return undefined;
      if (!open.validators.includes(validator))
        throw new RefusedError(
          "NOT_A_VALIDATOR",
          `${validator} is not in version ${asked.setVersion} of the model's validators.`,
        );
      await verify(asked);
      // It may have been given up meanwhile.
      if (open?.struct === asked) open = { ...open, signatures: new Map([...open.signatures, [validator, signature]]) };
      return { accepted: true };
    },
  };
}
