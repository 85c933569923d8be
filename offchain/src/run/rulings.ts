/** Rulings of a model's validators on workers' receipts, as the chain tells them: what each takes, and until when holders may veto it. */
import { getAllLogs, rulingOf, rulingProposed } from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import type { DisputesPlace } from "./disputes.ts";

export interface WorkRuling {
  readonly worker: Address;
  /** Struct hash of the receipt that it is about. */
  readonly receipt: Hex;
  /** sha256 of what the validators say that they found. */
  readonly evidence: Hex;
  /** What the worker loses, in wei, unless it is vetoed. */
  readonly amount: bigint;
  /** Before this time nobody executes it, chain seconds. */
  readonly vetoEnds: number;
  readonly state: "proposed" | "vetoed" | "executed";
  /** Who put it before the holders, and has the fee. */
  readonly reporter: Address;
  readonly transaction: Hex;
}

type RulingsPlace = Pick<DisputesPlace, "connection" | "addresses" | "modelId" | "fromBlock">;

/** The newest rulings, newest first. */
export async function newestRulings(place: RulingsPlace, stakes: Address, most: number): Promise<WorkRuling[]> {
  const { connection, modelId, fromBlock } = place;
  const { logs } = await connection.call((client) =>
    getAllLogs(client, rulingProposed({ stakes, modelId }), { from: BigInt(fromBlock) }),
  );
  const found: WorkRuling[] = [];
  for (const { args, transactionHash: transaction } of logs.slice(-most).toReversed()) {
    const { receiptHash, ruling, amount, vetoEnds, reporter } = args;
    const worker = asAddress(args.worker);
    const stands = await connection.call((client) => rulingOf(client, { stakes, modelId, worker, receiptHash }));
    // Gone with the block that it was in.
    if (!stands) continue;
    const { state } = stands;
    const { evidence } = ruling;
    found.push({
      worker,
      receipt: receiptHash,
      evidence,
      amount,
      vetoEnds,
      state,
      reporter: asAddress(reporter),
      transaction,
    });
  }
  return found;
}

/** The ruling on a receipt. @throws UserError `RULING_UNKNOWN` */
export async function rulingOn(place: RulingsPlace, stakes: Address, receipt: string): Promise<WorkRuling> {
  const all = await newestRulings(place, stakes, Infinity);
  const found = all.find((each) => each.receipt === receipt.toLowerCase());
  if (found) return found;
  throw new UserError(
    "RULING_UNKNOWN",
    `Validators of this model have ruled on no receipt ${JSON.stringify(receipt.slice(0, 100))}: "npx cotrain stake rulings" shows all, each with its receipt.`,
  );
}
