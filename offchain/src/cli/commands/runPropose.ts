import { runOf, setStatus } from "@cotrain/sdk/actions";
import { runStatus } from "@cotrain/sdk/protocol";

import { UserError } from "../../base/index.ts";
import { announcingOptions } from "../announcing.ts";
import { defineCommand } from "../command.ts";
import { changed, decide, decisionOptions, type Intention, intentionOf, titled } from "../decision.ts";
import type { DecidingPlace } from "../proposing.ts";

type Status = keyof typeof runStatus;

/** What a run is told to do, and what that makes of it. */
const verbs: Readonly<Record<string, Status>> = { pause: "paused", resume: "open", end: "finished" };

const statusNames = Object.keys(runStatus) as Status[];

async function intentionFor(place: DecidingPlace, wanted: Status): Promise<Intention> {
  const { connection, addresses, runId } = place;
  const { status: code } = await connection.call((client) => runOf(client, { addresses, runId }));
  const before = statusNames.find((name) => runStatus[name] === code) ?? `status ${code}`;
  const title = titled("run", changed(before, wanted, ""));
  const document = { runId, replaces: before, status: wanted };
  return intentionOf(place, setStatus, { addresses, runId, status: runStatus[wanted] }, { title, document });
}

/** `cotrain run propose`. */
export const runProposeCommand = defineCommand({
  name: "run propose",
  summary: "propose to the holders that a run pauses, goes on, or ends for ever",
  args: [{ name: "verb", description: "pause, resume or end" }],
  options: { ...decisionOptions, ...announcingOptions },
  examples: [
    ["npx cotrain run propose pause --dry-run", "what would be proposed"],
    [
      "npx cotrain run propose resume --announce --wallet organiser.json --passphrase-file pass",
      "by the organiser of a young model, of a run that holders paused; the same a window later carries it out",
    ],
  ],
  notes: [
    "While a run is paused no checkpoint is anchored; roots, claims and votes go on. Nothing opens a run again that has ended, and the model may have another then.",
    "In bootstrap holders pause and resume, and the organiser announces that a paused run goes on, or that a run ends.",
  ],
  async run({ args: [verb = ""], options, output }) {
    const wanted = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
    if (wanted === undefined)
      throw new UserError(
        "STATUS_VERB",
        `A run is told to ${Object.keys(verbs)
          .join(", ")
          .replace(/, (\w+)$/, " or $1")}, not to ${JSON.stringify(verb.slice(0, 100))}.`,
      );
    await decide({ options, output }, (place) => intentionFor(place, wanted));
  },
});
