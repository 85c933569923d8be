import { resolve } from "node:path";

import { UserError, formatBytes } from "../../base/index.ts";
import { EXIT_INTERRUPTED, openStateDirectory, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { stateOption } from "../../run/index.ts";
import { askYes } from "../ask.ts";
import { findPutAside, type PutAside, remove } from "../putAside.ts";
import { outlines } from "./outlines.ts";

/** @throws UserError `CONFIRMATION_MISSING` where nobody can be asked */
function confirmed(found: readonly PutAside[]): ReturnType<typeof askYes> {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new UserError(
      "CONFIRMATION_MISSING",
      "Nothing was removed: confirm it with --yes where nobody can be asked.",
    );
  const what = found.length === 1 ? "it" : `all ${found.length}`;
  const question = `Remove ${what} for ever? The wallets in there go too. [y/N] `;
  return askYes(question, process.stdin, process.stderr);
}

/** @throws UserError `STATE_LOCKED` for one that somebody opened by --state; state of another version can go. */
async function requireUnused({ path }: PutAside): Promise<void> {
  try {
    (await openStateDirectory(path)).close();
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== "STATE_VERSION") throw error;
  }
}

/** `cotrain clean`: removes the states that --fresh put aside, or left half made. */
export const cleanCommand = defineCommand({
  ...outlines.clean,
  options: {
    state: stateOption,
    yes: toggle({ description: "remove without asking", default: false }),
  },
  examples: [
    ["npx cotrain clean", "shows what --fresh put aside beside .cotrain, asks, and removes it"],
    ["npx cotrain clean --yes", "without asking"],
  ],
  notes: ["The state itself is never touched. Old states hold wallets: claim what they earned first."],
  async run({ options, output }) {
    const found = await findPutAside(options.state);
    const done = (removed: readonly PutAside[], line: string): void =>
      output.result({ removed, bytes: removed.reduce((sum, { bytes }) => sum + bytes, 0) }, [line]);
    if (found.length === 0) return done([], "There is nothing that --fresh put aside.");
    for (const each of found) await requireUnused(each);
    if (!options.yes) {
      for (const { path, bytes } of found) output.notice(`${path}  ${formatBytes(bytes)}`);
      const answer = await confirmed(found);
      if (answer !== "yes") done([], "Nothing was removed.");
      if (answer === "no") return;
      if (answer === "interrupted") return EXIT_INTERRUPTED;
    }
    const removed: PutAside[] = [];
    for (const each of found) if (await remove(each, resolve(options.state))) removed.push(each);
    const total = removed.reduce((sum, { bytes }) => sum + bytes, 0);
    const states = removed.length === 1 ? "1 old state" : `${removed.length} old states`;
    done(removed, `Removed ${states}, ${formatBytes(total)}.`);
  },
});
