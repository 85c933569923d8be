/** Work in pieces: a thread that computes for long gives its other work a turn between two of them. */
import { platform } from "#platform";

/** Resolves once what else waits for this thread had its turn. */
export const turn = (): Promise<void> => platform.turn();
