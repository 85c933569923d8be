/**
 * Passes that machines of a directory's leases were given, beside its ledger: whoever keeps the leases, also after the process that
 * rented has died, hears of the machines by them, and ends them with their lease. What a pass is, is not the leases' business.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { type Static, Type } from "typebox";

import { makeDirectories, readJsonBounded, writeFileDurable } from "../../base/node/index.ts";
import { findMiss } from "../../service/index.ts";
import { parseLabel } from "../base/labels.ts";
import { MOST_PASSES } from "../base/joining.ts";

const Form = Type.Object(
  {
    coordinator: Type.String({ pattern: "^https?://", maxLength: 2_000 }),
    runId: Type.String({ pattern: "^0x[0-9a-f]{64}$" }),
    passes: Type.Array(Type.String({ minLength: 1, maxLength: 2_048 }), { minItems: 1, maxItems: MOST_PASSES }),
  },
  { additionalProperties: false },
);
/** For which run a machine got which passes. */
export type GivenPasses = Readonly<Static<typeof Form>>;

const MAX_BYTES = 128 << 10;
const folderOf = (directory: string): string => join(directory, "passes");
const fileOf = (directory: string, label: string): string => join(folderOf(directory), `${label}.json`);

/** Durable when it resolves, which is to be before the machine is ordered. */
export async function notePasses(directory: string, label: string, given: GivenPasses): Promise<void> {
  makeDirectories(folderOf(directory), 0o700);
  await writeFileDurable(fileOf(directory, label), JSON.stringify(given), { mode: 0o600 });
}

/** By label. A file without the form of one is left alone. */
export async function notedPasses(directory: string): Promise<ReadonlyMap<string, GivenPasses>> {
  const folder = folderOf(directory);
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const labels = names.map((name) => name.replace(/\.json$/, "")).filter((label) => parseLabel(label) !== undefined);
  const found = await Promise.all(
    labels.toSorted().map(async (label): Promise<[string, GivenPasses][]> => {
      const value = await readJsonBounded(fileOf(directory, label), MAX_BYTES).catch(() => undefined);
      return value !== undefined && findMiss(Form, value) === undefined ? [[label, value as GivenPasses]] : [];
    }),
  );
  return new Map(found.flat());
}

/** Those of a lease that is over, and at whose coordinator they are ended. */
export const forgetPasses = (directory: string, label: string): void =>
  rmSync(fileOf(directory, label), { force: true });
