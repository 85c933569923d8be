import { systemClock } from "../../base/index.ts";
import { type CatalogueOptions, hasLeases, marketApi, marketStatuses, readPlan } from "../../market/index.ts";
import { coordinatorOptions } from "../../run/index.ts";
import {
  channelOnStderr,
  createHttpServer,
  createLogger,
  duration,
  listen,
  loadTls,
  runDaemon,
} from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { leasesOption, withLedger } from "../ledger.ts";
import { catalogueOptions, withCatalogue } from "../market.ts";

const { host, tlsCert, tlsKey, behindProxy, port } = coordinatorOptions;
const { provider, machines, community, maxAge, offline, cache, endpoint, keys, passphraseFile } = catalogueOptions;
const options = {
  host,
  port: { ...port, default: 7710 },
  tlsCert,
  tlsKey,
  behindProxy,
  provider,
  machines,
  community,
  maxAge,
  offline,
  cache,
  endpoint,
  keys,
  passphraseFile,
  leases: leasesOption,
  every: duration({ description: "time between two looks at the prices while somebody watches", default: 30_000 }),
} as const;

/** `cotrain market serve`. */
export const marketServeCommand = defineCommand({
  name: "market serve",
  summary: "serve offers, plans, leases, their cost and live prices over HTTP; nothing there spends",
  options,
  examples: [
    ["npx cotrain market serve", "on this machine: /v1/market/offers, plans/ID, leases, cost, prices"],
    ["npx cotrain market serve --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem", "for a page of everybody's"],
  ],
  notes: [
    "All of it is read without a key, and without addresses of machines. What rents or ends is for whoever has this directory: `cotrain market rent` and `cotrain market terminate`.",
  ],
  async run({ options: given, config, output }) {
    const logger = createLogger({ component: "market", level: "info" });
    return runDaemon(
      async (daemon) => {
        const app = await createHttpServer({
          logger,
          title: "Cotrain market",
          version: "1",
          statusByCode: marketStatuses,
          tls: await loadTls(given.tlsCert, given.tlsKey),
          ...(given.behindProxy !== undefined && { behindProxy: given.behindProxy }),
        });
        daemon.onShutdown("server", () => app.close());
        const { leases, every } = given;
        const failures: NonNullable<CatalogueOptions["failures"]> = new Map();
        await marketApi({
          catalogue: () =>
            withCatalogue(
              { ...given, anyOf: undefined, without: undefined, auction: undefined },
              (found) => found,
              failures,
            ),
          plan: (id) => readPlan(given, id, Date.now()),
          book: async () => (hasLeases(leases) ? withLedger(leases, (book) => book) : undefined),
          clock: systemClock,
          every,
          signal: daemon.signal,
        })(app);
        const listening = await listen(app, {
          host: given.host,
          port: given.port,
          explicitPort: config.explicit("port"),
          behindProxy: given.behindProxy,
          purpose: "the market",
          flag: "--port",
        });
        output.notice(`The market is served at ${listening.url}/v1/market/offers`);
        daemon.ready({ port: listening.port, url: listening.url });
        await new Promise<void>((resolve) => {
          if (daemon.signal.aborted) resolve();
          daemon.signal.addEventListener("abort", () => resolve(), { once: true });
        });
        return 0;
      },
      { name: "cotrain market serve", logger, report: output.complain, channel: channelOnStderr() },
    );
  },
});
