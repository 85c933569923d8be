import type { Address } from "@cotrain/sdk/protocol";

import { UserError, wrap } from "../../base/index.ts";
import { startCommand } from "../../base/node/index.ts";
import { nextRunOf, openLocalRun, registeredAfter, rejectedSubject } from "../../run/index.ts";
import { account, toggle } from "../../service/index.ts";
import { announcingOptions } from "../announcing.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention } from "../decision.ts";
import { columnsOf } from "../output.ts";
import { atPlace } from "../place.ts";
import type { DecidingPlace } from "../proposing.ts";
import { changesOf } from "./propose.ts";

interface Wanted {
  readonly changes: ReturnType<typeof changesOf>;
  readonly leaveUnpaid: boolean;
  readonly keepRejected: boolean;
  readonly poster: Address | undefined;
  readonly dryRun: boolean;
}

/** @throws UserError `NEXT_HOME` elsewhere than where the run's blobs are; what `nextRunOf` throws */
async function intentionFor(place: DecidingPlace, { dryRun, ...wanted }: Wanted): Promise<Intention> {
  if (place.state === undefined)
    throw new UserError(
      "NEXT_HOME",
      "A next run is made of what the last one ended with: make it in the directory whose coordinator serves the run.",
    );
  const { blobs } = await openLocalRun(place.state);
  const next = await nextRunOf({ ...place, blobs }, wanted);
  if (!dryRun) await next.keep(blobs);
  const { runId, call, end, rejected, change, config, rehearse } = next;
  const despite = rejected.length === 0 ? "" : `, though validators rejected ${rejectedSubject(rejected)}`;
  const from = `next run, from checkpoint ${end.manifest.round} of run ${end.runId}${despite}`;
  return {
    title: change === "" ? from : `${from}: ${change}`,
    call,
    rehearse: () => rehearse(place.contracts.timelock),
    document: {
      runId,
      after: { runId: end.runId, round: end.manifest.round, checkpoint: end.head.checkpointDigest },
      definition: config.definition,
      initialCheckpoint: config.initialCheckpoint,
      builds: config.builds,
      poster: config.poster,
      rejected,
    },
  };
}

/** `cotrain run next`. */
export const runNextCommand = defineCommand({
  name: "run next",
  summary: "register the model's next run, which goes on from what the last one ended with",
  args: [
    {
      name: "name=value",
      description: "a parameter that is another than in the last run, as params --json has it",
      several: true,
      optional: true,
    },
  ],
  options: {
    ...decisionOptions,
    ...announcingOptions,
    leaveUnpaid: toggle({
      description: "though no active root covers the last run's last rounds: what they earned may never be paid",
      default: false,
    }),
    keepRejected: toggle({
      description:
        "though validators rejected checkpoints that it goes on from: what was put into the model there stays",
      default: false,
    }),
    poster: account({ description: "who posts its heads (default: who posts the last run's)" }),
  },
  examples: [
    ["npx cotrain run next --dry-run", "what would be registered"],
    ["npx cotrain run next innerSteps=48 --vote", "by the wallet of this directory that has the most votes"],
    [
      "npx cotrain run next --announce --wallet organiser.json --passphrase-file pass",
      "by the organiser of a young model; the same a window later carries it out",
    ],
  ],
  notes: [
    "The last run must have ended (run propose end) and be paid to its end. Its next one has its last checkpoint, bit for bit with the outer optimizer's buffers, its data, programs, builds, poster and bounds, and its last parameters but for those that are named; steps and the schedule of the learning rate begin anew.",
    "It is made in the directory whose coordinator serves the last run, and its documents are put among what that serves. Once it is registered, start that coordinator again (npm start, or npx cotrain coordinator): it goes on with the new run, serves the old one on, and workers that join get the new one.",
    "Of a run whose poster validators suspended, or of whose checkpoints they rejected some, nothing is made unless another poster is named, or --keep-rejected.",
    "Of parameters that do not fit the run's bounds nothing is sent. Each run has one next run, whose id follows from its own: of two proposals the first that is executed holds.",
  ],
  async run({ args, options, output }) {
    const changes = changesOf(args);
    const { dryRun, leaveUnpaid, keepRejected, poster } = options;
    const registered = await atPlace(options, undefined, async (place) => {
      const next = await registeredAfter(place);
      return next === undefined ? undefined : { runId: next, after: place.runId };
    });
    if (registered === undefined)
      return decide({ options, output }, (place) =>
        intentionFor(place, { changes, leaveUnpaid, keepRejected, poster, dryRun }),
      );
    const { runId, after } = registered;
    output.result(
      { registered: runId, after },
      wrap(
        `Run ${runId} follows run ${after}: it is registered. Stop what serves the old one here and start it again, with "${startCommand(options.state ?? ".cotrain")}" or "npx cotrain coordinator", to go on with it.`,
        columnsOf(process.stdout),
      ),
    );
  },
});
