import { createServer, type Server } from "node:net";
import { expect, onTestFinished, test } from "vitest";

import { findPort } from "../../../../offchain/src/service/http/ports.ts";

async function occupy(): Promise<number> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === "object" && address ? address.port : 0;
}

test("a default port gives way to a free one near it", async () => {
  const taken = await occupy();
  const found = await findPort({ port: taken, explicit: false });
  expect(found).not.toBe(taken);
  expect(found).toBeGreaterThan(0);
});

test("a port that was asked for is not replaced: the sentence says what is wrong and what to do", async () => {
  const taken = await occupy();
  await expect(
    findPort({ port: taken, explicit: true, purpose: "the coordinator", flag: "--coordinator-port" }),
  ).rejects.toMatchObject({
    name: "UserError",
    code: "PORT_TAKEN",
    message: `Port ${taken} on 127.0.0.1 is in use by another program, so the coordinator cannot listen there: stop that program, or name another port with --coordinator-port.`,
  });
});

test("ports promised to others are passed over", async () => {
  const free = await findPort({ port: 0, explicit: false });
  expect(await findPort({ port: free, explicit: false, exclude: new Set([free]) })).not.toBe(free);
});

test("an address of another machine is refused", async () => {
  await expect(findPort({ port: 0, explicit: true, host: "192.0.2.1" })).rejects.toMatchObject({
    code: "HOST_UNAVAILABLE",
  });
});
