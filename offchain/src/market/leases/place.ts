/**
 * Where the leases of an installation lie: a directory with the ledger, a lock that one process holds while it keeps them, signs of
 * life, and requests of other commands to who keeps them. Of the files of others nothing is believed that does not have its form.
 */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { type TSchema, Type } from "typebox";

import { UserError } from "../../base/index.ts";
import { makeDirectories, readJsonBounded, typedPath, writeFileDurable } from "../../base/node/index.ts";
import { type FileLock, findMiss, holderOf, tryLock } from "../../service/index.ts";
import type { LifeSign, SignReader } from "./watchdog.ts";

/** The directory of a ledger where no other is named. */
export const USUAL_LEASES = ".cotrain-leases";

const MAX_BYTES = 4_096;
/** Requests that wait for who keeps the leases. */
const MAX_REQUESTS = 10_000;

const Label = Type.String({ minLength: 1, maxLength: 200 });
const DrainMs = Type.Integer({ minimum: 0, maximum: 86_400_000 });
/** µUSD, as JSON has them. */
const Money = Type.String({ pattern: "^[0-9]{1,12}$" });
const RequestForm = Type.Union([
  Type.Object({ type: Type.Literal("end"), label: Label, drainMs: DrainMs }, { additionalProperties: false }),
  Type.Object({ type: Type.Literal("stop"), cluster: Label, drainMs: DrainMs }, { additionalProperties: false }),
  Type.Object({ type: Type.Literal("adopt"), label: Label, cluster: Label }, { additionalProperties: false }),
  Type.Object(
    {
      type: Type.Literal("replace"),
      label: Label,
      wish: Type.Union([
        Type.Null(),
        Type.Object({ offer: Label, machine: Label, maximumPerHour: Money }, { additionalProperties: false }),
      ]),
      words: Label,
      drainMs: DrainMs,
    },
    { additionalProperties: false },
  ),
]);
/** What another command wants of who keeps the leases. */
export type LeaseRequest =
  | { readonly type: "end"; readonly label: string; readonly drainMs: number }
  | { readonly type: "stop"; readonly cluster: string; readonly drainMs: number }
  | { readonly type: "adopt"; readonly label: string; readonly cluster: string }
  | {
      readonly type: "replace";
      readonly label: string;
      readonly wish: { readonly offer: string; readonly machine: string; readonly maximumPerHour: string } | null;
      readonly words: string;
      readonly drainMs: number;
    };

const SignForm = Type.Object(
  { installation: Type.String({ pattern: "^[0-9a-f]{8}$" }), count: Type.Integer({ minimum: 0 }) },
  { additionalProperties: false },
);

/** A file's content of a form; undefined where there is none. */
async function readForm<T>(file: string, form: TSchema): Promise<T | undefined> {
  const value = await readJsonBounded(file, MAX_BYTES).catch(() => undefined);
  return value !== undefined && findMiss(form, value) === undefined ? (value as T) : undefined;
}

export const signFileOf = (directory: string, of: "keeper" | "watchdog"): string => join(directory, `${of}.sign.json`);
export const readSign =
  (file: string): SignReader =>
  () =>
    readForm<LifeSign>(file, SignForm);
export const writeSign = (file: string, sign: LifeSign): Promise<void> =>
  writeFileDurable(file, JSON.stringify(sign), { mode: 0o600 });

const requestsOf = (directory: string): string => join(directory, "requests");

/** Leaves a request, which is durable when it resolves. */
export async function leaveRequest(directory: string, request: LeaseRequest): Promise<void> {
  const folder = requestsOf(directory);
  makeDirectories(folder, 0o700);
  // In their order, as far as clocks tell.
  const name = `${String(Date.now()).padStart(15, "0")}-${randomBytes(8).toString("hex")}.json`;
  await writeFileDurable(join(folder, name), JSON.stringify(request), { mode: 0o600 });
}

/** Requests that wait, each with what takes it away once it was told. */
export async function waitingRequests(
  directory: string,
): Promise<readonly { readonly request: LeaseRequest | undefined; readonly taken: () => void }[]> {
  const folder = requestsOf(directory);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .slice(0, MAX_REQUESTS);
  return Promise.all(
    names.map(async (name) => {
      const file = join(folder, name);
      return { request: await readForm<LeaseRequest>(file, RequestForm), taken: () => rmSync(file, { force: true }) };
    }),
  );
}

const lockOf = (directory: string): string => join(directory, "keeper.lock");

/** @throws UserError `LEASES_KEPT` while another process keeps them */
export function lockLeases(directory: string): FileLock {
  makeDirectories(directory, 0o700);
  const lock = tryLock(lockOf(directory));
  if (lock !== undefined) return lock;
  const holder = holderOf(lockOf(directory));
  throw new UserError(
    "LEASES_KEPT",
    `The leases of ${typedPath(directory)} are kept by another process${holder === undefined ? "" : ` (${holder})`}: end it first, or name another directory with --leases.`,
  );
}

/** Whether anything was ever rented from here. */
export const hasLeases = (directory: string): boolean => existsSync(join(directory, "leases.db"));
