import type { JobTable } from "../../../offchain/src/service/index.ts";

/** A job table, but for what is done instead. */
export const jobsBut = (jobs: JobTable, instead: Partial<JobTable>): JobTable =>
  new Proxy(jobs, {
    get: (table, name) => {
      if (name in instead) return Reflect.get(instead, name) as unknown;
      const own: unknown = Reflect.get(table, name, table);
      return typeof own === "function" ? (own.bind(table) as unknown) : own;
    },
  });
