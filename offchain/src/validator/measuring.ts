/**
 * How much of the machine the newest measurement of held-out loss took, and the newest audit of a loss gate: kept beside the
 * statements for `cotrain status`.
 */
import { join } from "node:path";

import { type Static, Type } from "typebox";

import { readStateFile, writeStateFile } from "../service/index.ts";

const Measuring = Type.Object(
  {
    version: Type.Literal(1),
    /** Of which checkpoint. */
    round: Type.Integer({ minimum: 0 }),
    /** Processor time of the engine's process for the evaluations ÷ what all processors had meanwhile. */
    share: Type.Number({ minimum: 0 }),
    /** Whether no bound held for it. */
    atRest: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type Measuring = Static<typeof Measuring>;

/** What an engine of a validator measures for, and where it is written down. */
const FILES = { heldOut: "measuring.json", audit: "auditing.json" } as const;
export type MeasuredFor = keyof typeof FILES;

/** @param directory the validator's own */
export const writeMeasuring = (
  directory: string,
  what: MeasuredFor,
  { round, share, atRest }: Required<Omit<Measuring, "version">>,
): Promise<void> => writeStateFile(join(directory, FILES[what]), Measuring, { version: 1, round, share, atRest });

/** Undefined when nothing was measured, or the file is damaged: it is shown and nothing follows from it. */
export const readMeasuring = (directory: string, what: MeasuredFor): Promise<Measuring | undefined> =>
  readStateFile(join(directory, FILES[what]), Measuring).catch(() => undefined);
