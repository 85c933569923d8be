/** A coordinator names an RPC by a name that points into the network of whoever asks. */
import { createServer } from "node:http";
import type { LookupFunction } from "node:net";

import { expect, onTestFinished, test } from "vitest";

import { publicFetch } from "../../offchain/src/chain/index.ts";
import { isPublicAddress } from "../../offchain/src/service/index.ts";

const pointingTo =
  (...addresses: readonly string[]): LookupFunction =>
  (_name, _options, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );

/** A server of this machine, and what was posted to it. */
async function serving() {
  const posted: string[] = [];
  const server = createServer((request, response) => {
    posted.push(request.url ?? "");
    if (request.url === "/away") response.writeHead(302, { location: "/" }).end();
    else request.pipe(response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => void server.close());
  return { posted, port: (server.address() as { port: number }).port };
}

const post = { method: "POST", body: '{"id":1}' };

test.each([
  ["a name that points to this machine", "http://rpc.example.org", ["127.0.0.1"]],
  ["a name that points to it by IPv6", "http://rpc.example.org", ["::ffff:127.0.0.1"]],
  ["the address itself", "http://127.0.0.1", []],
])("no connection is made to %s", async (_what, origin, addresses) => {
  const { posted, port } = await serving();
  const fetch = publicFetch({ resolve: pointingTo(...addresses) });
  await expect(fetch(`${origin}:${port}/secret`, post)).rejects.toThrow("is not in the public Internet");
  expect(posted).toEqual([]);
});

test("of a name's addresses only those that are allowed are connected to, and no redirect is followed", async () => {
  const { posted, port } = await serving();
  const fetch = publicFetch({
    resolve: pointingTo("127.0.0.2", "127.0.0.1"),
    isAllowed: (address) => address === "127.0.0.1",
  });
  const answer = await fetch(`http://rpc.example.org:${port}/`, post);
  expect({ status: answer.status, text: await answer.text() }).toEqual({ status: 200, text: post.body });
  expect((await fetch(`http://rpc.example.org:${port}/away`, post)).status).toBe(302);
  expect(posted).toEqual(["/", "/away"]);
});

test.each([
  "0.0.0.0",
  "10.1.2.3",
  "100.64.0.1",
  "127.0.0.1",
  "169.254.169.254",
  "172.31.255.255",
  "192.168.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:10.0.0.1",
  "::ffff:1.1.1.1",
  "64:ff9b::a00:1",
  "2002:a00:1::",
  "2001:0:1::",
  "fc00::1",
  "fe80::1",
  "ff02::1",
  "rpc.example.org",
])("%s is no public address", (address) => expect(isPublicAddress(address)).toBe(false));

test.each(["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111"])("%s is one", (address) =>
  expect(isPublicAddress(address)).toBe(true),
);
