/** Events of one kind, kept: each is read once, and all are read anew where the chain reorganised. */
import { type EventLogs, type EventQuery, getLogPage, type LogCursor } from "@cotrain/sdk/actions";
import { ChainReorganisedError } from "@cotrain/sdk/errors";
import type { Abi, ContractEventName } from "viem";

import { type Clock, systemClock } from "../base/index.ts";
import type { ChainConnection } from "./connection.ts";

export interface HistoryOptions<abi extends Abi, name extends ContractEventName<abi>, T> {
  readonly connection: ChainConnection;
  readonly query: EventQuery<abi, name>;
  /** Block of the contract's deployment. */
  readonly fromBlock: number;
  readonly confirmations: number;
  readonly clock?: Clock;
  readonly map: (logs: EventLogs<abi, name>) => Promise<readonly T[]> | readonly T[];
}

/** For so long a node may be behind the one beside it that told of a block, ms: then its block is gone. */
const LAG_MS = 3_000;
const LAG_POLL_MS = 250;

export interface History<T> {
  /** Reads what is new and gives all events so far, oldest first. */
  (): Promise<readonly T[]>;
  /** Another one, which reads once more what follows the last page of events that ended before a block. */
  before(block: number): History<T>;
}

/** Where a page with events ended, and how many there were by then. */
interface Mark {
  readonly from: LogCursor;
  readonly count: number;
}

export function createHistory<const abi extends Abi, name extends ContractEventName<abi>, T>(
  options: HistoryOptions<abi, name, T>,
  known: { readonly items: readonly T[]; readonly marks: readonly Mark[] } = { items: [], marks: [] },
): History<T> {
  const { connection, query, confirmations, clock = systemClock } = options;
  let { items, marks } = known;
  let from: LogCursor | bigint = marks.at(-1)?.from ?? BigInt(options.fromBlock);
  let reading: Promise<readonly T[]> | undefined;

  const read = async (): Promise<readonly T[]> => {
    let lagsSince: number | undefined;
    for (;;) {
      try {
        const page = await connection.call((client) => getLogPage(client, query, { from, confirmations }));
        from = page.logs.length > 0 ? await append(page) : page.cursor;
        if (page.done) return items;
      } catch (error) {
        if (!(error instanceof ChainReorganisedError)) throw error;
        // To lag is no reorganisation, after which all would be read anew.
        lagsSince ??= clock.monotonic();
        if (error.mayLag && clock.monotonic() - lagsSince < LAG_MS) {
          await clock.sleep(LAG_POLL_MS);
          continue;
        }
        [items, marks] = [[], []];
        from = BigInt(options.fromBlock);
      }
    }
  };
  const append = async ({ logs, cursor }: { logs: EventLogs<abi, name>; cursor: LogCursor }): Promise<LogCursor> => {
    items = [...items, ...(await options.map(logs))];
    marks = [...marks, { from: cursor, count: items.length }];
    return cursor;
  };
  const history = (): Promise<readonly T[]> => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
  return Object.assign(history, {
    before: (block: number) => {
      const kept = marks.filter((mark) => mark.from.next <= block);
      return createHistory(options, { marks: kept, items: items.slice(0, kept.at(-1)?.count ?? 0) });
    },
  });
}
