/** Whose a connection to the fake provider is. */
import { createServer } from "node:http";

import { expect, onTestFinished, test } from "vitest";

import { isOwn, userOf } from "../../../offchain/src/market/fake/caller.ts";
import { listening } from "../../loopback.ts";

/** Lines as Linux writes them: the provider's end is of user 1000, the end of who asks of user 1001. */
const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1E6E 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1234 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1E6E 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 1235 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:C350 0100007F:1E6E 01 00000000:00000000 00:00000000 00000000  1001        0 1236 1 0000000000000000 20 4 30 10 -1
   3: 0200007F:C351 0100007F:1E6E 01 00000000:00000000 00:00000000 00000000  1000        0 1237 1 0000000000000000 20 4 30 10 -1
`;

test("the user is that of the end which connected", () => {
  expect(userOf(TABLE, 50_000, 7_790)).toBe(1_001);
});

test.each([
  [7_790, 50_001],
  [50_001, 7_790],
  [0, 0],
])("of ports %i and %i nobody is known", (client, server) => {
  expect(userOf(TABLE, client, server)).toBeUndefined();
});

test("a connection of this process is of its user", async () => {
  const server = createServer((request, response) => {
    void isOwn(request.socket).then((own) => response.end(String(own)));
  });
  const url = await listening(server);
  onTestFinished(() => void server.close());
  expect(await (await fetch(url)).text()).toBe("true");
});
