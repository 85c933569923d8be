/** The webhook: what it posts, in which order, how often, to whom, and that its address stands nowhere. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, onTestFinished, test } from "vitest";

import { createWebhook, type Notice, webhookIn } from "../../../offchain/src/market/webhook.ts";
import { temporaryDirectory } from "../cli/support.ts";
import { fakeServer } from "./fakeServer.ts";
import { worldClock } from "./leases/cloud.ts";
import { NOW } from "./offers.ts";

const SECRET = "T000-SECRET";
const notice = (sentence: string): Notice => ({
  at: new Date(NOW).toISOString(),
  what: "preempted",
  cluster: "c0a1b2c3",
  label: "ct-0a1b2c3d-4e5f6071-1",
  sentence,
});

async function hooked(timeout?: number) {
  const server = await fakeServer({ routes: { [`POST /${SECRET}`]: () => ({ body: "ok" }) } });
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  const faults: string[] = [];
  const webhook = createWebhook({
    url: new URL(`${server.url}/${SECRET}`),
    clock: worldClock(NOW),
    random: () => 0,
    signal: ending.signal,
    onFault: (sentence) => void faults.push(sentence),
    ...(timeout === undefined ? {} : { timeout }),
  });
  return { server, webhook, faults, ending };
}
const sentences = (asked: readonly { readonly body: unknown }[]): unknown[] =>
  asked.map(({ body }) => (body as Notice).sentence);

test("it is told in turn, in words that chat services show", async () => {
  const { server, webhook, faults } = await hooked();
  webhook.tell(notice("One is lost."));
  webhook.tell(notice("Another is lost."));
  await webhook.settled();
  expect(server.asked.map(({ body }) => body)).toEqual(
    ["One is lost.", "Another is lost."].map((text) => ({ version: 1, ...notice(text), text, content: text })),
  );
  expect(faults).toEqual([]);
});

test("what is away is asked again, four times in all, and what refuses once; the rest follows", async () => {
  const { server, webhook, faults } = await hooked();
  server.fail({ status: 503, body: "" }, "reset", { status: 429, body: "" });
  webhook.tell(notice("Late."));
  await webhook.settled();
  expect(sentences(server.asked)).toEqual(Array.from({ length: 4 }, () => "Late."));
  expect(faults).toEqual([]);

  server.fail(...Array.from({ length: 4 }, () => ({ status: 500, body: "" })), { status: 404, body: "" });
  for (const text of ["Never.", "Refused.", "After."]) webhook.tell(notice(text));
  await webhook.settled();
  expect(sentences(server.asked).slice(4)).toEqual(["Never.", "Never.", "Never.", "Never.", "Refused.", "After."]);
  expect(faults).toEqual([
    expect.stringMatching(/^The webhook http:\/\/127\.0\.0\.1:\d+\/… was not told of preempted: it answered 500\.$/),
    expect.stringContaining("it answered 404"),
  ]);
  expect(faults.join(" ")).not.toContain(SECRET);
});

test("one that does not answer, or sends callers elsewhere, holds nothing up for longer than its time", async () => {
  const { server, webhook, faults } = await hooked(50);
  server.fail("hang", "hang", "hang", "hang", { status: 307, headers: { location: "/elsewhere" }, body: "" });
  webhook.tell(notice("Nobody."));
  webhook.tell(notice("Elsewhere."));
  await webhook.settled();
  expect(server.asked.every(({ path }) => path === `/${SECRET}`)).toBe(true);
  expect(server.asked).toHaveLength(5);
  expect(faults).toEqual([
    expect.stringContaining("it did not answer in time"),
    expect.stringContaining("it answered 307"),
  ]);
});

test("a hundred wait at the most, the oldest is dropped; after the end nothing is sent", async () => {
  const { server, webhook, faults, ending } = await hooked();
  for (let index = 0; index < 103; index++) webhook.tell(notice(`${index}.`));
  await webhook.settled();
  // The first was on its way.
  expect(sentences(server.asked)).toEqual(["0.", ...Array.from({ length: 100 }, (_, index) => `${index + 3}.`)]);
  expect(faults).toEqual(Array.from({ length: 2 }, () => expect.stringContaining("is slow: preempted was not told")));

  ending.abort();
  webhook.tell(notice("Too late."));
  await webhook.settled();
  expect(server.asked).toHaveLength(101);
});

test("its address comes out of a file, over TLS or of this machine, and no error shows it", async () => {
  const file = join(temporaryDirectory(), "hook");
  const read = (text: string) => {
    writeFileSync(file, text);
    return webhookIn(file).then(String, (error: unknown) => error);
  };
  expect(await read(`https://hooks.example/${SECRET}\n`)).toBe(`https://hooks.example/${SECRET}`);
  expect(await read(`http://127.0.0.1:9/${SECRET}`)).toBe(`http://127.0.0.1:9/${SECRET}`);
  for (const text of [
    "",
    `http://hooks.example/${SECRET}`,
    `file:///${SECRET}`,
    `https://me:${SECRET}@hooks.example/`,
    `https://hooks.example/${SECRET}/${"a".repeat(2_100)}`,
  ]) {
    const error = await read(text);
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).not.toContain(SECRET);
  }
});
