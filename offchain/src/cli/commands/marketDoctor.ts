import { diagnose, providerNames } from "../../market/index.ts";
import { choice } from "../../service/index.ts";
import { UserError } from "../../base/index.ts";
import { defineCommand } from "../command.ts";
import { endpointOption, keptKeys, keysOptions, reachOf } from "../market.ts";
import { columnsOf, factTable } from "../output.ts";

/** Price of listings that depend on it: as much as `market offers` asks for by itself. */
const DISK_GB = 100;

/** `cotrain market doctor`. */
export const marketDoctorCommand = defineCommand({
  name: "market doctor",
  summary: "whether a provider takes your key, what it says of your account, and how often it may be asked",
  options: {
    provider: choice(providerNames, { value: "name", description: `which provider: ${providerNames.join(", ")}` }),
    endpoint: endpointOption,
    ...keysOptions,
  },
  examples: [["npx cotrain market doctor --provider vast", "asks Vast.ai with the key in VAST_API_KEY; rents nothing"]],
  notes: [
    "It reads and changes nothing. Keys come out of the environment, under the names that the providers' own tools use, or out of `market keys`; they are sent to their provider alone and never shown.",
  ],
  async run({ options, output }) {
    if (options.provider === undefined)
      throw new UserError("USAGE", `Name a provider: --provider ${providerNames.join("|")}.`);
    const ending = new AbortController();
    const found = await diagnose(options.provider, reachOf(options.endpoint, ending.signal, await keptKeys(options)), {
      diskGb: DISK_GB,
    });
    if (found === undefined) throw new UserError("PROVIDER_UNKNOWN", `There is no provider "${options.provider}".`);
    output.result(found, [
      `${found.title}: ${found.ok ? "works" : "does not work"}`,
      ...factTable(found.facts, columnsOf(process.stdout)),
    ]);
    return found.ok ? 0 : 1;
  },
});
