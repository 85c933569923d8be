/** Carries out what the posting machine asks: reads of the chain, the account's signature, notes in the job table, pauses. */
import { CotrainError } from "@cotrain/sdk/errors";
import type { Address, Hex } from "@cotrain/sdk/protocol";
import { keccak256, type LocalAccount, type PublicClient, type TransactionReceipt } from "viem";

import { type Clock, redactUrl, RetryableError } from "../../base/index.ts";
import type { JobContext, Logger } from "../../service/index.ts";
import { type ChainConnection, isAway, isRevert, saysReverted } from "../connection.ts";
import { tooDear } from "../fees.ts";
import { unlessUnknown } from "../unlessUnknown.ts";
import type { AnswerOf, Ask, AskName, AskOf, Fault, Mined, Refused } from "./asks.ts";
import { REVERTED } from "./asks.ts";
import { isPossibleGas, MOST_GAS } from "./price.ts";

interface CarryOutModules {
  readonly connection: ChainConnection;
  readonly account: LocalAccount;
  readonly clock: Clock;
  readonly log: Logger | undefined;
}

/** The posting for which something is asked. */
export interface PostingInWork {
  readonly context: Pick<JobContext, "signal" | "note">;
  readonly target: () => Promise<{ readonly to: Address; readonly data: Hex; readonly value?: bigint }>;
  readonly done: (anew?: number) => Promise<unknown>;
  readonly prepare: () => Promise<"send" | "wait" | CotrainError>;
  /** Nobody waits for it. */
  readonly yields: boolean;
}

/** Answers what is asked. @throws what `faultOf` reads */
type CarryOut = <N extends AskName>(ask: AskOf<N>, posting: PostingInWork) => Promise<AnswerOf<N>>;

type Carriers = {
  readonly [N in AskName]: (ask: AskOf<N>, posting: PostingInWork) => Promise<AnswerOf<N>>;
};

const refused = (error: CotrainError): Refused => ({
  kind: "refused",
  code: error.code,
  message: error.message,
  retryable: error.retryable,
  revert: isRevert(error) ? error.errorName : null,
});

/** What a contract's refusal ends a posting with; of a reason that is in no ABI here, such as a token's own, nobody knows whether it lasts. */
function refusalOf(error: unknown): Refused | undefined {
  if (isRevert(error) || (error instanceof RetryableError && error.code === REVERTED)) return refused(error);
  if (!(error instanceof CotrainError) || !saysReverted(error)) return undefined;
  return { kind: "refused", code: REVERTED, message: error.message, retryable: true, revert: null };
}

/** What reverts is refused, and no chain that is away: the account's other postings do not wait for it. */
export function faultOf(error: unknown): Fault {
  const refusal = refusalOf(error);
  if (refusal) return { kind: "final", reverts: true, refused: refusal };
  if (isAway(error)) return { kind: "away" };
  const fees = tooDear(error);
  if (fees) return { kind: "dear", fees, sentence: (error as Error).message };
  if (error instanceof CotrainError && !error.retryable)
    return { kind: "final", reverts: false, refused: refused(error) };
  return { kind: "unknown" };
}

const minedOf = ({ transactionHash, blockNumber, status }: TransactionReceipt): Mined => ({
  hash: transactionHash,
  block: Number(blockNumber),
  reverted: status === "reverted",
});

type Reads = "look" | "prepare" | "quote" | "receipts" | "tip" | "reason" | "nonce" | "known";

/** What the chain is asked. */
function createReads({ connection: { call, url }, account }: CarryOutModules): Pick<Carriers, Reads> {
  const from = account.address;
  const nonceAt = (blockTag: "latest" | "pending") =>
    call((chain) => chain.getTransactionCount({ address: from, blockTag }));
  const receiptOf = (hash: Hex) =>
    call((chain) => unlessUnknown("TransactionReceiptNotFoundError", () => chain.getTransactionReceipt({ hash })));
  return {
    look: async ({ anew }, { done }) => {
      const result = await done(anew);
      return { found: result === undefined ? null : { result } };
    },
    prepare: async (_ask, posting) => {
      const ready = await posting.prepare();
      return { ready: ready instanceof CotrainError ? refused(ready) : ready };
    },
    quote: async ({ gas: wanted }, { target, yields }) => {
      const block = wanted === "latest" ? { blockTag: wanted } : {};
      const sent = await target();
      const [nonce, gas, fees, balance] = await Promise.all([
        wanted === "first" ? nonceAt("pending") : null,
        wanted === "known" ? null : call((chain) => chain.estimateGas({ account: from, ...sent, ...block })),
        call((chain) => chain.estimateFeesPerGas()),
        call((chain) => chain.getBalance({ address: from })),
      ]);
      // A token may ask for as much as it likes.
      if (gas !== null && yields && gas > MOST_GAS)
        throw new RetryableError(REVERTED, `It would take ${gas} gas, more than any transaction may.`);
      if (gas !== null && !isPossibleGas(gas))
        throw new RetryableError(
          "CHAIN_RPC",
          `The chain's RPC at ${redactUrl(url)} estimates ${gas} gas for a transaction, which none can have: it is asked again.`,
        );
      const asked = { gas, maxFeePerGas: fees.maxFeePerGas, tip: fees.maxPriorityFeePerGas };
      // What goes along pays no fees.
      return { nonce, asked, balance: balance - (sent.value ?? 0n) };
    },
    receipts: async ({ hashes }) => {
      const receipts = await Promise.all(hashes.map(receiptOf));
      const found = receipts.find((receipt) => receipt !== undefined);
      return { mined: found ? minedOf(found) : null };
    },
    tip: async () => ({ block: Number(await call((chain) => chain.getBlockNumber())) }),
    // The same call now fails the same way unless the chain moved on meanwhile.
    reason: async (_ask, { target }) => {
      try {
        const sent = await target();
        await call((chain) => chain.call({ account: from, ...sent }));
        return { refused: null };
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal) return { refused: refusal };
        if (error instanceof CotrainError && error.code === "CHAIN_RPC") return { refused: null };
        throw error;
      }
    },
    nonce: async ({ at }) => ({ next: await nonceAt(at) }),
    known: async ({ hash }) => {
      const read = (chain: PublicClient) =>
        unlessUnknown("TransactionNotFoundError", () => chain.getTransaction({ hash }));
      return { known: ((await call(read)) ?? null) !== null };
    },
  };
}

/** What is made, written down and handed in. */
function createWrites({ connection, account, clock, log }: CarryOutModules): Omit<Carriers, Reads> {
  return {
    sign: async ({ nonce, price }, { target }) => {
      const { gas, maxFeePerGas, tip } = price;
      const raw = await account.signTransaction({
        type: "eip1559",
        chainId: connection.chainId,
        nonce,
        gas,
        maxFeePerGas,
        maxPriorityFeePerGas: tip,
        ...(await target()),
      });
      const paid = { gas: gas.toString(), maxFeePerGas: maxFeePerGas.toString(), tip: tip.toString() };
      return { sent: { hash: keccak256(raw), raw, ...paid } };
    },
    note: async ({ progress }, { context }) => {
      await context.note(progress);
      return {};
    },
    broadcast: async ({ raw }) => {
      await connection.sameChain();
      try {
        await connection.call((chain) => chain.sendRawTransaction({ serializedTransaction: raw }));
      } catch (error) {
        if (!(error instanceof CotrainError) || (error.code !== "CHAIN_RPC" && !isRevert(error))) throw error;
        log?.debug({ err: error }, "the node did not take the transaction");
      }
      return {};
    },
    rest: async ({ ms }, { context }) => {
      await clock.sleep(ms, context.signal);
      return {};
    },
  };
}

export function createCarryOut(modules: CarryOutModules): CarryOut {
  const carriers: Carriers = { ...createReads(modules), ...createWrites(modules) };
  return (ask, posting) => {
    const carry = carriers[ask.name] as (ask: Ask, posting: PostingInWork) => Promise<never>;
    return carry(ask as Ask, posting);
  };
}
