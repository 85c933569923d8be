import { coordinatorOption, openLocalRun, requireRun, runOption, stateOption } from "../../run/index.ts";
import { defineCommand } from "../command.ts";
import { findPutAside } from "../putAside.ts";
import { restingStatus } from "../status/atRest.ts";
import { remoteStatus, runningStatus } from "../status/running.ts";
import { outlines } from "./outlines.ts";

/** `cotrain status`. */
export const statusCommand = defineCommand({
  ...outlines.status,
  options: { state: stateOption, coordinator: coordinatorOption, run: runOption },
  examples: [
    ["npx cotrain status", "the run of this directory, running or at rest"],
    ["npx cotrain status --coordinator http://127.0.0.1:7700 --json", "what a coordinator says, as JSON"],
  ],
  notes: [
    "With --json rounds count from 1, as on the screen: round n makes checkpoint n; `round` itself is how many rounds are completed.",
    "Its `tokensPerSecond` is what was accepted over the time of the last rounds, `tokensPerSecondNow` the sum of what the members report now; of one that does not train now it is null. `left` counts who has left, so that its tokens and the members' add up to those of all.",
  ],
  async run({ options, output }) {
    const { document, lines } =
      options.coordinator === undefined
        ? await localStatus(options.state, options.run)
        : await remoteStatus(options.coordinator, options.run);
    output.result(document, lines);
  },
});

/** The run of this directory, running or at rest. */
async function localStatus(state: string, wanted: string | undefined) {
  const run = await openLocalRun(state);
  requireRun(run, wanted);
  const old = await findPutAside(run.state);
  return (await runningStatus(run, old)) ?? restingStatus(run, old);
}
