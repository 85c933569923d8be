/** `cotrain market serve` as a process: what it tells of a provider, and its end. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { rentalServer } from "./rentalServer.ts";
import { cotrain, temporaryDirectory } from "./support.ts";

test("offers, leases and live prices are served until Ctrl-C", { timeout: 120_000 }, async () => {
  const directory = temporaryDirectory();
  const { server } = await rentalServer(() => [{ id: "m1", gpu: "RTX 4090", gpus: 2, usd_per_hour: "1.2" }]);
  const community = join(directory, "community.json");
  writeFileSync(
    community,
    JSON.stringify({
      coordinator: "http://127.0.0.1:1",
      chainId: 1,
      rpc: "http://127.0.0.1:1",
      escrow: `0x${"e5".repeat(20)}`,
      tokens: [{ address: `0x${"70".repeat(20)}`, decimals: 6, usd: "1.00" }],
    }),
  );
  const told: unknown[] = [];
  let isAsked = false;
  const { code } = await cotrain(
    [
      "market",
      "serve",
      "--port=0",
      "--provider=fake",
      `--endpoint=fake=${server.url}`,
      "--every=1s",
      `--community=${community}`,
      `--cache=${join(directory, "cache")}`,
      `--keys=${join(directory, "keys")}`,
      `--leases=${join(directory, "leases")}`,
    ],
    {
      onStderr: (stderr, child) => {
        const url = /(http:\/\/127\.0\.0\.1:\d+)\/v1\/market\/offers/.exec(stderr)?.[1];
        if (url === undefined || isAsked) return;
        isAsked = true;
        void (async () => {
          for (const path of ["offers", "leases", "cost"])
            told.push(await (await fetch(`${url}/v1/market/${path}`)).json());
          const prices = await fetch(`${url}/v1/market/prices`);
          const { value } = (await prices.body?.getReader().read()) ?? {};
          told.push(new TextDecoder().decode(value));
          child.kill("SIGINT");
        })();
      },
    },
  );
  expect(code).toBe(0);
  expect(told).toMatchObject([
    {
      offers: [{ id: "fake:m1", gpus: 2, perHour: "1200000" }],
      // Whose coordinator does not answer: it is none of the others' matter.
      sources: [
        { provider: "community", state: "failed" },
        { provider: "fake", state: "live" },
      ],
    },
    { leases: [] },
    { clusters: [], cost: "0" },
    expect.stringMatching(/^event: prices\ndata: \{"RTX 4090\/on-demand":\{/),
  ]);
});
