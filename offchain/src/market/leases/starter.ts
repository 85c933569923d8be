/**
 * Starts machines over SSH. What each is to do lies beside the ledger from before its create is sent until it was started or is over, so
 * that whoever keeps the leases after a crash can start it, too; it has the passes in it, which lie there anyway. The key of a host is
 * taken at first sight, and another one refused from then on. All that a machine answers is bounded, and shown without what it was told.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { CotrainError } from "@cotrain/sdk/errors";

import { makeDirectories, readFileBounded, writeFileDurable } from "../../base/node/index.ts";
import { parseLabel } from "../base/labels.ts";
import type { Order, ShellAddress } from "../base/renting.ts";
import { shownLog } from "../logs.ts";
import { said, startOnceOf, wasStartedOf } from "../overSsh.ts";
import { notedFor, requireSsh, runOverSsh } from "../ssh.ts";
import type { EventOf } from "./events.ts";

/** What a try came to. */
export type StartAnswer = Omit<EventOf<"started">, "at" | "label"> | Omit<EventOf<"unstarted">, "at" | "label">;

export interface Starter {
  /** Durable when it resolves, which is to be before the machine is ordered. @throws UserError `ORDER`, `SSH_MISSING`, `FILE_UNREADABLE` */
  keep(order: Order, title: string): Promise<void>;
  /** Starts what was kept, unless the machine says that it was started before. Never throws for what a machine does. */
  start(label: string, address: ShellAddress): Promise<StartAnswer>;
  /** Forgets what is kept of others. */
  forget(isWanted: (label: string) => boolean): void;
}

export interface StarterOptions {
  /** Of the ledger. */
  readonly directory: string;
  /** File of the private key; default the agent's keys and those of the user's directory. */
  readonly identity?: string | undefined;
  readonly signal: AbortSignal;
  /** Of a try, ms. */
  readonly timeout?: number;
}

const MAX_BYTES = 1 << 20;
const TIMEOUT = 30_000;

const failed = (words: string, what: EventOf<"unstarted">["what"] = "again"): StartAnswer => ({
  type: "unstarted",
  what,
  words,
});

/** Words of a machine's, which may have had its secrets from us. */
const shown = (words: string): string => shownLog(words, 1)[0] ?? "";

/** What an error of a try means. */
function failedBy(error: CotrainError): StartAnswer {
  const refused = error.details?.["refused"];
  if (refused === "host")
    return failed(
      "Its host's key is not the one that was noted at first sight: somebody may stand between.",
      "machine",
    );
  return failed(shown(error.message), refused === "login" ? "account" : "again");
}

export function createStarter({ directory, identity, signal, timeout = TIMEOUT }: StarterOptions): Starter {
  const folder = join(directory, "starts");
  const fileOf = (label: string): string => join(folder, `${label}.sh`);
  return {
    keep: async (order, title) => {
      await requireSsh(identity);
      const script = startOnceOf(order, title);
      makeDirectories(folder, 0o700);
      await writeFileDurable(fileOf(order.label), script, { mode: 0o600 });
    },
    start: async (label, address) => {
      const isKept = parseLabel(label) !== undefined && existsSync(fileOf(label));
      // One that was taken up again may have been started by whoever ordered it.
      if (!isKept && parseLabel(label) === undefined) return failed("What it is to do is not known here.", "machine");
      const machine = { name: label, address, key: identity, noted: notedFor(directory, label) };
      try {
        const script = isKept
          ? new TextDecoder().decode(await readFileBounded(fileOf(label), MAX_BYTES))
          : wasStartedOf(label);
        const lines = said(await runOverSsh(machine, script, { signal, timeout }), label);
        if (lines.includes("taken")) return failed("Something was begun on it whose end was not seen.");
        if (!isKept && !lines.includes("started")) return failed("What it is to do is not known here.", "machine");
        return { type: "started" };
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof CotrainError)) throw error;
        return failedBy(error);
      }
    },
    forget: (isWanted) => {
      const names = existsSync(folder) ? readdirSync(folder) : [];
      for (const name of names) if (!isWanted(name.replace(/\.sh$/, ""))) rmSync(join(folder, name), { force: true });
    },
  };
}
