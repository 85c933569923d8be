import { resolve } from "node:path";

import { systemClock, unlessAborted, UserError } from "../../base/index.ts";
import { microUsdOf, openFakeMachines, openFakeProvider, requireFakeMachines } from "../../market/index.ts";
import { workerOptions } from "../../run/index.ts";
import { createLogger, integer, port, real, runDaemon, text } from "../../service/index.ts";
import { defineCommand } from "../command.ts";

/** `cotrain market fake`. */
export const marketFakeCommand = defineCommand({
  name: "market fake",
  summary: "a fake provider on this machine: the machines that it lets are processes here, and nobody is paid",
  options: {
    count: integer(1, 64, { description: "machines that it has", default: 3 }),
    price: real(0.001, 1_000, {
      value: "USD",
      description: "US dollars of a machine for an hour, of its meter",
      default: 0.36,
    }),
    port: port({ description: "port on loopback; a free one near it if it is taken", default: 7790 }),
    directory: text({
      value: "directory",
      description: "files of its machines, emptied first",
      default: ".cotrain-fake",
    }),
    logLevel: workerOptions.logLevel,
  },
  examples: [["npx cotrain market fake --count 2", "lets two machines, until Ctrl-C"]],
  notes: [
    "Commands of the market rent from it with --endpoint fake=http://127.0.0.1:7790: all that they do is as with any other provider, but that it costs nothing. Its machines run what they are sent as this user, with this installation's packages.",
  ],
  async run({ options, config, output }) {
    requireFakeMachines();
    const perHour = microUsdOf(options.price, "usd");
    if (perHour === undefined) throw new UserError("USAGE", "--price must be an amount of US dollars.");
    const logger = createLogger({ component: "fake provider", level: options.logLevel });
    return runDaemon(
      async ({ signal, ready, onShutdown }) => {
        const provider = await openFakeProvider({
          machines: options.count,
          perHour,
          boots: openFakeMachines(resolve(options.directory), logger),
          clock: systemClock,
          logger,
          port: options.port,
          explicitPort: config.explicit("port"),
        });
        onShutdown("machines", () => provider.close());
        output.notice(`A fake provider lets ${options.count} machines: --endpoint fake=${provider.url}`);
        ready({ port: provider.port, url: provider.url });
        await unlessAborted(new Promise<never>(() => undefined), signal);
      },
      { name: "cotrain market fake", logger, report: output.complain, shutdownDeadline: 40_000 },
    );
  },
});
