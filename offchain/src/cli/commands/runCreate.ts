import { localnetOptions } from "../../run/index.ts";
import { resolveConfig } from "../../service/index.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { fileOption } from "../runYaml.ts";

/** What of `cotrain up`'s options says what is made, in the order of help. */
const made = [
  "state",
  "blobs",
  "preset",
  "data",
  "innerSteps",
  "optimizer",
  "schedule",
  "warmupSteps",
  "totalSteps",
  "decaySteps",
  "lrFloor",
  "microBatches",
  "recompute",
  "founders",
  "capital",
  "device",
  "rpc",
  "maxFee",
  "deployments",
  "wallet",
  "passphraseFile",
  "yes",
] as const;
const options = {
  file: fileOption,
  ...(Object.fromEntries(made.map((key) => [key, localnetOptions[key]])) as Pick<
    typeof localnetOptions,
    (typeof made)[number]
  >),
};
type Context = CommandContext<typeof options>;

/** As `cotrain up` would be asked, whose other options have their defaults. */
const localnetContext = ({ options: given, config, output }: Context) => {
  const { values, origins } = resolveConfig(localnetOptions, { environment: {} });
  return {
    options: { ...values, ...given },
    config: {
      origins: { ...origins, ...config.origins },
      explicit: (key: keyof typeof localnetOptions) =>
        Object.hasOwn(options, key) && config.explicit(key as keyof typeof options),
    },
    notice: output.notice,
  };
};

/** `cotrain run create`. */
export const runCreateCommand = defineCommand({
  name: "run create",
  summary: "make a run: data, programs and checkpoint 0, contracts where there are none, model and run; trains nothing",
  options,
  section: "run",
  examples: [
    ["npx cotrain run create -f run.yaml", "what a file says of model, text and chain"],
    ["npx cotrain run create --preset 3.5m --rpc https://rpc.example.org", "a run on a chain that has an RPC"],
  ],
  notes: [
    "The same as the first start of `cotrain up` does before it trains: without --rpc the run is on the chain that npm start embeds. A run that was cut short is gone on with by the same line.",
    "The file has two sections, run and market, whose keys are options of this command, and of `cotrain market plan` and `cotrain market rent`. What is typed comes before what stands in it.",
  ],
  run: async (context) => (await import("../up/create.ts")).createHere(localnetContext(context), context.output),
});
