/** The state directory of a start: opened or made, checked against what was asked for, before anything is written into it. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";

import { type Clock, UserError, withRemedy } from "../base/index.ts";
import { freshCommand } from "../base/node/index.ts";
import {
  openStateDirectory,
  readRunFile,
  requirePlace,
  type RunFile,
  type StateDirectory,
  stateExists,
} from "../service/index.ts";
import { layout } from "../run/index.ts";
import type { LocalnetContext } from "./context.ts";
import { dropHeir, putAside, takeUpHeir } from "./funds.ts";
import { refuseRented } from "./rentedFor.ts";
import { checkRequest, type Request } from "./request.ts";

/** The state directory, locked, with the run that it holds and what was asked for. */
export interface OpenedState {
  readonly directory: StateDirectory;
  readonly file: RunFile | undefined;
  readonly request: Request;
}

/** A run that begins beside an imported model would take its place, untrained. @throws UserError `MODEL_IMPORTED` */
async function refuseImported(state: string): Promise<void> {
  if (!existsSync(layout(state).model) || (await readRunFile(state)) !== undefined) return;
  throw new UserError(
    "MODEL_IMPORTED",
    `${state} holds an imported model, and a run of its own would begin with another, untrained one: name another directory with --state, or put the model aside with "${freshCommand(state)}".`,
  );
}

/** What lies beside the state and is no state of ours, or in use, is no matter of one that stands. */
function passing(error: unknown): void {
  if (!(error instanceof UserError)) throw error;
}

/**
 * Opens, or makes, the state directory of this command. Comes before everything that writes into it.
 * @throws UserError or RetryableError for what cannot be done or is not ours to use; nothing was made or moved then
 */
export async function openState(context: LocalnetContext, clock: Clock): Promise<OpenedState> {
  const state = resolve(context.options.state);
  const anew = context.options.fresh || !stateExists(state);
  if (!anew) await refuseImported(state);
  const first = anew ? await checkRequest(context, undefined) : undefined;
  const remedy = withRemedy("name another directory with --state", "PATH_UNWRITABLE");
  const { blobs, fresh } = context.options;
  if (fresh) await refuseRented(state, clock);
  // Before the old state is put aside for nothing.
  if (fresh && blobs !== undefined) await requirePlace(state, blobs);
  // Coins on a chain that is not ours stay with who begins anew.
  const taking = fresh ? putAside(context.notice, state, clock, first?.rpc !== undefined) : takeUpHeir(state);
  const taken = await taking.catch(remedy);
  if (taken) context.notice("Its wallets are kept.");
  // One that stood and is gone was put aside by another start, which has its wallets: none is made in its place.
  const directory = await openStateDirectory(state, { create: anew && !taken, clock }).catch(remedy);
  try {
    // Left by a start that ended before it had put this state aside.
    await dropHeir(state).catch(passing);
    const file = await readRunFile(state);
    return { directory, file, request: first ?? (await checkRequest(context, file)) };
  } catch (error) {
    directory.close();
    throw error;
  }
}
