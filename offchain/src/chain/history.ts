/** Events of one kind, kept: each is read once, and all are read anew where the chain reorganised. */
import { type EventLogs, type EventQuery, getLogPage, type LogCursor } from "@cotrain/sdk/actions";
import { ChainReorganisedError } from "@cotrain/sdk/errors";
import type { Abi, ContractEventName } from "viem";

import type { ChainConnection } from "./connection.ts";

export interface HistoryOptions<abi extends Abi, name extends ContractEventName<abi>, T> {
  readonly connection: ChainConnection;
  readonly query: EventQuery<abi, name>;
  /** Block of the contract's deployment. */
  readonly fromBlock: number;
  readonly confirmations: number;
  readonly map: (logs: EventLogs<abi, name>) => Promise<readonly T[]> | readonly T[];
}

/** @returns a function that reads what is new and gives all events so far, oldest first */
export function createHistory<const abi extends Abi, name extends ContractEventName<abi>, T>(
  options: HistoryOptions<abi, name, T>,
): () => Promise<readonly T[]> {
  const { connection, query, confirmations } = options;
  let items: readonly T[] = [];
  let from: LogCursor | bigint = BigInt(options.fromBlock);
  let reading: Promise<readonly T[]> | undefined;

  const read = async (): Promise<readonly T[]> => {
    for (;;) {
      try {
        const page = await connection.call((client) => getLogPage(client, query, { from, confirmations }));
        if (page.logs.length > 0) items = [...items, ...(await options.map(page.logs))];
        from = page.cursor;
        if (page.done) return items;
      } catch (error) {
        if (!(error instanceof ChainReorganisedError)) throw error;
        items = [];
        from = BigInt(options.fromBlock);
      }
    }
  };
  return () => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
}
