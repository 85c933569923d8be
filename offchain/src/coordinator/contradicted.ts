/**
 * Verdicts in which a validator contradicted itself. The first of its key alone counts; both together cost it stake, whoever reports
 * them, so that they are kept, written down and shown beside the others.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { CotrainError } from "@cotrain/sdk/errors";
import { asAddress, type RunId, type SignedVerdict } from "@cotrain/sdk/protocol";

import { errnoOf } from "../base/index.ts";
import {
  type Contradiction,
  contradictionOfFile,
  nameOfContradiction,
  type StatementsPlace,
  verdictsContradict,
  writeContradiction,
} from "../run/index.ts";
import type { Logger } from "../service/index.ts";

/** Of one validator: each costs half of what is left, so that more prove little, and nobody fills the disk. */
const MOST_OF_ONE = 16;
/** Of all: a set has 64 members, and sets change. */
const MOST = 1_024;

/** What a coordinator hears of: roots are posted. */
type AboutHeads = Extract<Contradiction, { readonly kind: "verdicts" }>;

export interface Contradicted {
  /** Keeps two verdicts, both of whose signatures hold, where they contradict each other. */
  note(counted: SignedVerdict, other: SignedVerdict): Promise<void>;
  /** Of each contradiction both. */
  statements(): readonly SignedVerdict[];
}

interface Modules extends StatementsPlace {
  readonly runId: RunId;
  /** Where they are written down; undefined: nowhere. */
  readonly directory: string | undefined;
  readonly logger: Logger;
}

/**
 * What was written down before of this run: others of its model lie beside it, and who asks for one run's verdicts takes none about
 * another. A file that is damaged keeps nobody from starting.
 */
async function writtenIn({ directory, logger, runId }: Modules): Promise<AboutHeads[]> {
  if (directory === undefined) return [];
  const names = await readdir(directory).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  });
  const found: AboutHeads[] = [];
  for (const name of names.toSorted((a, b) => (a < b ? -1 : 1))) {
    if (found.length === MOST) break;
    try {
      const contradiction = await contradictionOfFile(join(directory, name));
      if (contradiction?.kind === "verdicts" && contradiction.pair.every(({ verdict }) => verdict.runId === runId))
        found.push(contradiction);
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      logger.warn({ err: error }, "what a validator contradicted itself by cannot be read");
    }
  }
  return found;
}

/** @throws what reading the directory throws */
export async function openContradicted(modules: Modules): Promise<Contradicted> {
  const { directory, logger } = modules;
  const kept = new Map<string, readonly [SignedVerdict, SignedVerdict]>();
  for (const contradiction of await writtenIn(modules)) {
    const { pair } = contradiction;
    kept.set(nameOfContradiction(contradiction, asAddress(pair[0].verdict.validator)), pair);
  }
  return {
    note: async (counted, other) => {
      if (!verdictsContradict(counted.verdict, other.verdict)) return;
      const { validator } = counted.verdict;
      const contradiction = { kind: "verdicts", pair: [counted, other] } as const;
      const name = nameOfContradiction(contradiction, asAddress(validator));
      const ofOne = [...kept.values()].filter(([{ verdict }]) => verdict.validator === validator).length;
      if (kept.has(name) || ofOne >= MOST_OF_ONE || kept.size >= MOST) return;
      kept.set(name, contradiction.pair);
      const file = directory === undefined ? undefined : join(directory, `${name}.json`);
      try {
        if (file !== undefined) await writeContradiction(file, modules, contradiction);
      } catch (error) {
        logger.warn({ err: error, validator }, "what a validator contradicted itself by could not be written down");
      }
      logger.warn(
        { validator, file },
        'a validator signed two verdicts that contradict each other: anybody may report both with "npx cotrain stake conflict"',
      );
    },
    statements: () => [...kept.values()].flat(),
  };
}
