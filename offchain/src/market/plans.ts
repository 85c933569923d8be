/**
 * Plans that were shown, kept so that one of them can be rented as it was: what machines at what prices, for how long and for what
 * money, until when. A plan is named by the digest of its canonical JSON and sealed with a key of this installation (HMAC), since
 * nobody but whoever made it has to know it again: a wallet's signature would say more than is asked, and a market needs no wallet.
 * What lies in the directory is believed only under that seal.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

import { canonicalJson } from "@cotrain/sdk/protocol";
import { type Static, Type } from "typebox";

import { sha256Bytes, UserError, utf8 } from "../base/index.ts";
import { makeDirectories, readJsonBounded, writeFileDurable } from "../base/node/index.ts";
import { ensurePassphrase, findMiss, readPassphrase } from "../service/index.ts";

const MAX_BYTES = 1 << 20;
/** Plans of a directory; the oldest go. */
const MOST_PLANS = 200;

const Money = Type.String({ pattern: "^[0-9]{1,15}$" });
const Name = Type.String({ minLength: 1, maxLength: 240 });
const Moment = Type.Integer({ minimum: 1_500_000_000_000, maximum: 4_000_000_000_000 });
const PlanForm = Type.Object(
  {
    version: Type.Literal(1),
    madeAt: Moment,
    expiresAt: Moment,
    /** What is trained, and the kind of cluster, in words. */
    preset: Name,
    mode: Name,
    /** µUSD for the machines, never more; seconds after which they are ended. */
    budget: Money,
    seconds: Type.Integer({ minimum: 1, maximum: 100 * 365 * 86_400 }),
    diskGb: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    /** Percent above what others paid, where prices of it are limits at an auction. */
    auction: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000 })),
    machines: Type.Array(
      Type.Object(
        { offer: Name, provider: Type.String({ pattern: "^[a-z]{1,20}$" }), machine: Name, perHour: Money },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 1_024 },
    ),
  },
  { additionalProperties: false },
);
/** A plan as it is kept; money as decimal text of µUSD. */
export type KeptPlan = Static<typeof PlanForm>;
const FileForm = Type.Object(
  { plan: PlanForm, seal: Type.String({ pattern: "^[0-9a-f]{64}$" }) },
  { additionalProperties: false },
);

const ID = /^p[0-9a-f]{16}$/;

/** The name of a plan: 64 bits of the digest of its canonical JSON. */
export const planId = (plan: KeptPlan): string => `p${sha256Bytes(utf8(canonicalJson(plan))).slice(2, 18)}`;

export interface PlansPaths {
  /** Of the market's cache. */
  readonly cache: string;
  /** Of the keys, which are not this machine's alone where the cache may be. */
  readonly keys: string;
}

const folderOf = ({ cache }: PlansPaths): string => join(cache, "plans");
const keyFileOf = ({ keys }: PlansPaths): string => join(keys, "plans.key");

const sealOf = (key: string, plan: KeptPlan): Buffer => createHmac("sha256", key).update(canonicalJson(plan)).digest();

/** Keeps a plan. @returns its name. @throws UserError `PATH_UNWRITABLE`, and what the key's file is refused for */
export async function keepPlan(paths: PlansPaths, plan: KeptPlan): Promise<string> {
  const keyFile = keyFileOf(paths);
  makeDirectories(dirname(keyFile), 0o700);
  await ensurePassphrase(keyFile);
  const seal = sealOf(await readPassphrase(keyFile), plan).toString("hex");
  const folder = folderOf(paths);
  makeDirectories(folder, 0o700);
  const names = readdirSync(folder).filter((name) => ID.test(name.replace(/\.json$/, "")));
  if (names.length >= MOST_PLANS) await forgetOldest(folder, names);
  const id = planId(plan);
  await writeFileDurable(join(folder, `${id}.json`), JSON.stringify({ plan, seal }), { mode: 0o600 });
  return id;
}

/** What is past, or cannot be read; of others the one that ends first. */
async function forgetOldest(folder: string, names: readonly string[]): Promise<void> {
  const ends = await Promise.all(
    names.map(async (name) => ({ name, at: (await planIn(join(folder, name)))?.plan.expiresAt ?? 0 })),
  );
  const gone = ends.toSorted((a, b) => a.at - b.at).slice(0, Math.max(1, names.length - MOST_PLANS / 2));
  for (const { name } of gone) rmSync(join(folder, name), { force: true });
}

async function planIn(file: string): Promise<Static<typeof FileForm> | undefined> {
  const value = await readJsonBounded(file, MAX_BYTES).catch(() => undefined);
  return value !== undefined && findMiss(FileForm, value) === undefined
    ? (value as Static<typeof FileForm>)
    : undefined;
}

/**
 * A plan that was kept.
 * @throws UserError `PLAN_UNKNOWN`, `PLAN_CHANGED` where its seal or its name is not its own, `PLAN_EXPIRED`
 */
export async function readPlan(paths: PlansPaths, id: string, now: number): Promise<KeptPlan> {
  const file = join(folderOf(paths), `${id}.json`);
  if (!ID.test(id) || !existsSync(file) || !existsSync(keyFileOf(paths)))
    throw new UserError("PLAN_UNKNOWN", `There is no plan "${id}" here: "npx cotrain market plan" makes one.`);
  const found = await planIn(file);
  const key = await readPassphrase(keyFileOf(paths));
  if (
    found === undefined ||
    !timingSafeEqual(sealOf(key, found.plan), Buffer.from(found.seal, "hex")) ||
    planId(found.plan) !== id
  )
    throw new UserError("PLAN_CHANGED", `Plan ${id} is not as it was made here: plan anew.`);
  if (now >= found.plan.expiresAt || now < found.plan.madeAt - CLOCKS)
    throw new UserError("PLAN_EXPIRED", `Plan ${id} was good until ${at(found.plan.expiresAt)}: plan anew.`);
  return found.plan;
}

/** By how much a clock may have been set back. */
const CLOCKS = 300_000;
const at = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace("T", " ");
