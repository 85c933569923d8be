import { rewardKind } from "@cotrain/sdk/protocol";

import type { ChainReader, RootReader } from "./ports.ts";

/** What is read of roots of a kind, of `rewardKind`. */
export const rootsIn = <K extends keyof RootReader>(
  reader: Pick<ChainReader, K | "rootsOfKind">,
  kind: number,
): Pick<RootReader, K> => (kind === rewardKind.compute ? reader : reader.rootsOfKind(kind));
