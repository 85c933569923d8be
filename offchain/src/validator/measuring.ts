/** How much of the machine the newest measurement of held-out loss took: kept beside the statements for `cotrain status`. */
import { join } from "node:path";

import { type Static, Type } from "typebox";

import { readStateFile, writeStateFile } from "../service/index.ts";

const Measuring = Type.Object(
  {
    version: Type.Literal(1),
    /** Of which checkpoint. */
    round: Type.Integer({ minimum: 0 }),
    /** Processor time of the engine's process ÷ what all processors had meanwhile. */
    share: Type.Number({ minimum: 0 }),
    /** Whether no bound held for it. */
    atRest: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
export type Measuring = Static<typeof Measuring>;

const FILE = "measuring.json";

/** @param directory the validator's own */
export const writeMeasuring = (
  directory: string,
  { round, share, atRest }: Required<Omit<Measuring, "version">>,
): Promise<void> => writeStateFile(join(directory, FILE), Measuring, { version: 1, round, share, atRest });

/** Undefined when nothing was measured, or the file is damaged: it is shown and nothing follows from it. */
export const readMeasuring = (directory: string): Promise<Measuring | undefined> =>
  readStateFile(join(directory, FILE), Measuring).catch(() => undefined);
