/** The newest held-out loss that a session has shown, kept for who asks when it has ended: the summary may lack it. */
import type { RunView } from "@cotrain/sdk/protocol";
import { type Static, Type } from "typebox";

import { readStateFile, writeStateFile } from "../service/index.ts";
import { heldOutUntrained } from "./heldOut.ts";
import { layout } from "./local.ts";

const Whole = Type.Integer({ minimum: 0 });
const Figure = Type.Object({
  microBitsPerByte: Whole,
  /** On how many sequences it was measured; null where that is not known. */
  sequences: Type.Union([Whole, Type.Null()]),
});

const KeptLoss = Type.Object({
  version: Type.Literal(1),
  runId: Type.String(),
  /** Of which checkpoint it is. */
  round: Whole,
  loss: Figure,
  /** Before any training; null where nobody had measured that. */
  untrained: Type.Union([Figure, Type.Null()]),
  /** Tokens of a sequence. */
  sequence: Whole,
});
export type KeptLoss = Static<typeof KeptLoss>;

const figureOf = ({ microBitsPerByte, sequences }: NonNullable<RunView["loss"]["heldOut"]>): Static<typeof Figure> => ({
  microBitsPerByte,
  sequences: sequences ?? null,
});

/** Keeps what pictures of a run say, where it is another than before. */
export function lossKeeper({ state, sequence }: { readonly state: string; readonly sequence: number }) {
  let last = "";
  return async ({ runId, loss }: Pick<RunView, "runId" | "loss">): Promise<void> => {
    const { heldOut } = loss;
    if (heldOut === null) return;
    const untrained = heldOutUntrained(loss);
    const kept: KeptLoss = {
      version: 1,
      runId,
      round: heldOut.round,
      loss: figureOf(heldOut),
      untrained: untrained ? figureOf(untrained) : null,
      sequence,
    };
    const text = JSON.stringify(kept);
    if (text === last) return;
    last = text;
    // A session goes on without: the next picture and the summary say it again.
    await writeStateFile(layout(state).loss, KeptLoss, kept).catch(() => undefined);
  };
}

/** What the last session had shown of this run; undefined where there is none, or one that nobody can read. */
export async function readKeptLoss(state: string, runId: string): Promise<KeptLoss | undefined> {
  const kept = await readStateFile(layout(state).loss, KeptLoss).catch(() => undefined);
  return kept?.runId === runId ? kept : undefined;
}
