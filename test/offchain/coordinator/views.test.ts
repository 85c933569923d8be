import { getAddress } from "viem";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";

import {
  asDigest,
  type CheckpointList,
  cidOf,
  createCoordinatorClient,
  measuringOrder,
  routes,
  RunContracts,
} from "@cotrain/sdk/protocol";
import * as protocol from "@cotrain/sdk/protocol";
import { protocolPage } from "../../interop/variants.ts";
import { contracts, distributors, modelContracts } from "../contracts.ts";
import { type Harness, lower, openHarness, runId, until, validators, verdictOf } from "./harness.ts";

let harness: Harness;
let workers: ReturnType<Harness["worker"]>[];

beforeAll(async () => {
  harness = await openHarness();
  workers = [harness.worker("31"), harness.worker("32")];
  for (const worker of workers) await worker.join();
  for (let round = 1; round <= 2; round++) {
    for (const worker of workers) await worker.train();
    await harness.clock.advance(2_000);
    await until(() => harness.chain.heads.length === round + 1, "the anchor");
  }
});
afterAll(() => harness.close());

interface Form {
  readonly properties?: Readonly<Record<string, Form>>;
  readonly anyOf?: readonly Form[];
  readonly items?: Form;
}
type Body = { readonly content?: Readonly<Record<string, { readonly schema: Form }>> };
type Operation = { readonly requestBody?: Body; readonly responses: Readonly<Record<string, Body>> };

/** Method, body of the request and body of the reply, as docs/protocol.md says them. */
const BODIES = /(GET|POST|PUT)[^`:]*(?:`([A-Z]\w+)`)?: `([A-Z]\w+)`/g;

/** Names of the fields, those of inner objects too, which tell a body from all others; their types are the table's matter. */
function fieldsOf({ properties, anyOf, items }: Form): unknown {
  if (anyOf) return anyOf.map(fieldsOf);
  if (items) return [fieldsOf(items)];
  return Object.fromEntries(Object.entries(properties ?? {}).map(([name, field]) => [name, fieldsOf(field)]));
}
const formOf = (body: Body | undefined): unknown => {
  const schema = body?.content?.["application/json"]?.schema;
  return schema === undefined ? undefined : fieldsOf(schema);
};

/** The form of a body that the page names, and has a table of. */
function messageOf(name: string | undefined): unknown {
  if (name === undefined) return undefined;
  expect(protocolPage).toMatch(new RegExp(`^<!-- (?:message|document) ${name} -->$`, "m"));
  const form = fieldsOf((protocol as unknown as Record<string, Form>)[name] ?? {});
  expect({ name, form }).not.toEqual({ name, form: {} });
  return form;
}

describe("the API shows", () => {
  it("the run, with what was moved against what synchronous training would have moved", async () => {
    const view = await harness.client.run(runId);
    const fp32 = 4 * (264 + 256 + 10 + 700);
    const payload = harness.run.facts.elements.reduce((sum, n) => sum + n + 4 * Math.ceil(n / 256), 0);
    // Two rounds of two workers; for the third both fetch their parameters already.
    const synchronous = 2 * (4 + 8) * 2 * fp32;
    // Of two workers each sends one bf16 gradient a step.
    expect(view.traffic).toEqual({ up: 4 * payload, down: 6 * fp32, synchronous, ring: synchronous / 4 });
    expect(view).toMatchObject({ round: 2, step: 12, tokens: "768", phase: "Training" });
    expect(view.tokensPerSecond).toBeGreaterThan(0);
    expect(view.members.map(({ tokens }) => tokens)).toEqual(["384", "384"]);
    expect(view.accepted).toEqual({ workers: 2, tokens: "768" });
    expect((await harness.client.runs()).runs).toEqual([{ runId, modelId: view.modelId, phase: "Training" }]);
  });

  it("every contract that the run lives in, the model's own too, and addresses in the casing of EIP-55", async () => {
    const { contracts: shown, poster, members } = await harness.client.run(runId);
    const all: Record<string, string> = { ...modelContracts, ...contracts, ...distributors };
    expect(shown).toEqual(Object.fromEntries(Object.entries(all).map(([name, each]) => [name, getAddress(each)])));
    expect(Object.keys(shown)).toEqual(Object.keys(RunContracts.properties));
    expect(poster).toBe(getAddress(poster));
    const workersOf = workers.flatMap(({ address, beneficiary }) => [getAddress(address), getAddress(beneficiary)]);
    expect(members.flatMap(({ worker, beneficiary }) => [worker, beneficiary])).toEqual(workersOf);
  });

  it("every checkpoint with its transaction", async () => {
    await until(() => harness.run.driver.state.heads.every(({ anchor }) => anchor !== null), "the anchors");
    const { checkpoints } = await harness.client.checkpoints(runId);
    expect(checkpoints.map(({ round, head, transaction, digest }) => ({ round, head, transaction, digest }))).toEqual(
      harness.chain.heads.map(({ round, head, transaction, checkpointDigest: digest }) => ({
        round,
        head,
        transaction,
        digest,
      })),
    );
  });

  it("checkpoints page by page, which the client follows", async () => {
    const all = await harness.run.projections.checkpoints(0, 1_000);
    const before = { ...harness.run.projections };
    // More than there are: every round again and again, under numbers of its own.
    const many = Array.from({ length: 300 }, (_, round) => ({ ...all[round % all.length]!, round: 2 * round }));
    Object.assign(harness.run.projections, {
      checkpoints: async (from: number, most: number) => many.filter(({ round }) => round >= from).slice(0, most),
    });
    onTestFinished(() => void Object.assign(harness.run.projections, before));
    const { checkpoints } = await harness.client.checkpoints(runId);
    expect(checkpoints.map(({ round }) => round)).toEqual(many.map(({ round }) => round));
    const page = await harness.app.inject({ url: `${routes.checkpoints(runId)}?from=3` });
    const { next, checkpoints: shown } = page.json<CheckpointList>();
    expect([shown[0]!.round, shown.length, next]).toEqual([4, 128, 260]);
    expect(page.body.length).toBeLessThan(1 << 16);
    const endless = createCoordinatorClient("http://127.0.0.1:1", {
      fetch: async () => Response.json({ checkpoints: shown, next: 4 }),
    });
    await expect(endless.checkpoints(runId)).rejects.toMatchObject({ code: "ANSWER_TOO_LARGE" });
  });

  it("that the next anchor waits for lower fees, or for coins, while it does", async () => {
    expect(await harness.client.run(runId)).not.toHaveProperty("feeWait");
    onTestFinished(() => void (harness.chain.dear = undefined));
    for (const what of ["fees", "coins"] as const) {
      harness.chain.dear = { what, asked: 2n * 10n ** 17n, allowed: 10n ** 17n, since: 5 };
      const { feeWait } = await harness.client.run(runId);
      expect(feeWait).toEqual({ what, asked: "200000000000000000", allowed: "100000000000000000", since: 5 });
    }
    // Whatever the chain asks for, the run can be looked at.
    harness.chain.dear = { what: "fees", asked: 10n ** 100n, allowed: 2n ** 256n, since: 5 };
    const { feeWait } = await harness.client.run(runId);
    const most = (2n ** 256n - 1n).toString();
    expect(feeWait).toEqual({ what: "fees", asked: most, allowed: most, since: 5 });
  });

  it("held-out loss as the validators' median", async () => {
    const { heads } = harness.run.driver.state;
    for (const { head, round } of [heads[0]!, heads.at(-1)!]) {
      const order = measuringOrder(
        head,
        validators.map(({ address }) => lower(address)),
      );
      for (const [i, address] of order.entries()) {
        const validator = validators.find((each) => lower(each.address) === address)!;
        const value = BigInt(round === 0 ? 100 + i : 50 - i);
        const about = { head, round: BigInt(Math.max(0, round - 1)), value };
        await harness.client.submitVerdict(runId, await verdictOf(harness, validator, about));
      }
    }
    const { loss } = await harness.client.run(runId);
    expect(loss.heldOutFirst).toEqual({ round: 0, microBitsPerByte: 101, sequences: 64 });
    expect(loss.heldOut).toEqual({ round: 2, microBitsPerByte: 49, sequences: 64 });
    expect((await harness.client.verdicts(runId)).verdicts.length).toBe(6);
  });

  it("blobs whole, in parts, and not again to whom has them", async () => {
    const { fragments } = harness.run.driver.state.checkpoint;
    const { digest, bytes, outer } = fragments[1]!;
    const whole = await harness.client.blob(runId, asDigest(digest), bytes);
    const part = await harness.client.blobPart(runId, asDigest(digest), outer.offset, outer.bytes);
    expect(part).toEqual(whole.subarray(outer.offset, outer.offset + outer.bytes));
    const url = routes.blob(runId, asDigest(digest));
    const get = (headers: Record<string, string>) => harness.app.inject({ method: "GET", url, headers });
    const tail = await get({ range: "bytes=-8" });
    expect([tail.statusCode, tail.headers["content-range"]]).toEqual([206, `bytes ${bytes - 8}-${bytes - 1}/${bytes}`]);
    expect(new Uint8Array(tail.rawPayload)).toEqual(whole.subarray(bytes - 8));
    expect((await get({ range: `bytes=${bytes - 4}-999999` })).rawPayload.length).toBe(4);
    expect((await get({ range: "bytes=5-2" })).statusCode).toBe(416);
    expect((await get({ range: "bytes=0-1,3-4" })).statusCode).toBe(416);
    const again = await get({ "if-none-match": `"${cidOf(asDigest(digest))}"` });
    expect(again.statusCode).toBe(304);
    expect((await get({})).headers["cache-control"]).toBe("public, max-age=31536000, immutable");
  });

  it("what counts of all, of who left too, and of no round that is open", async () => {
    const before = BigInt((await harness.client.run(runId)).accepted.tokens);
    const third = harness.worker("33");
    await third.join();
    await until(async () => (await third.work()).kind !== "leave", "the join");
    const { members, accepted } = await harness.client.run(runId);
    expect(BigInt(accepted.tokens)).toBe(before);
    expect(accepted.workers).toBe(2);
    await workers[0]!.train();
    const during = await harness.client.run(runId);
    expect(members.length).toBe(3);
    expect(during.accepted.tokens).toBe(during.tokens);
    const sum = (view: typeof during) => view.members.reduce((total, { tokens }) => total + BigInt(tokens), 0n);
    expect(sum(during)).toBe(BigInt(during.accepted.tokens));
    await workers[0]!.session.leave();
    await until(async () => (await harness.client.run(runId)).members.length < 3, "the leaving");
    const after = await harness.client.run(runId);
    expect(after.accepted).toEqual(during.accepted);
    expect(sum(after)).toBeLessThan(BigInt(after.accepted.tokens));
  });

  it("the routes of the protocol, each of them and no other", async () => {
    const document: { paths: Record<string, object> } = (await harness.app.inject({ url: "/openapi.json" })).json();
    const shown = Object.keys(document.paths).map((path) => path.replaceAll(/\{\w+\}/g, ":_"));
    const due = Object.values(routes).map((path) =>
      (path as (...places: readonly string[]) => string)(":runId", ":cid", ":attempt", ":index"),
    );
    expect(shown.toSorted()).toEqual(due.map((path) => path.replaceAll(/:\w+/g, ":_")).toSorted());
  });

  it("under each route the bodies whose tables docs/protocol.md has, named in the table of routes", async () => {
    const { paths }: { paths: Record<string, Record<string, Operation>> } = (
      await harness.app.inject({ url: "/openapi.json" })
    ).json();
    const told = new Set<string>();
    for (const [, path = "", text = ""] of protocolPage.matchAll(/^\| \w+ \| `(\/v1\/\S+)` \| (.+) \|$/gm))
      for (const [, method = "", request, reply] of text.matchAll(BODIES)) {
        const operation = paths[path.replaceAll(/:(\w+)/g, "{$1}")]?.[method.toLowerCase()];
        expect(formOf(operation?.requestBody), `${method} ${path}`).toEqual(messageOf(request));
        expect(formOf(operation?.responses["200"]), `${method} ${path}`).toEqual(messageOf(reply));
        expect(formOf(operation?.responses["4XX"]), `${method} ${path}`).toEqual(messageOf("ErrorBody"));
        told.add(`${method} ${path}`);
      }
    const due = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`),
    );
    // Blobs and the software are bytes.
    expect([...told].toSorted()).toEqual(due.filter((route) => !/\/blobs\/|\/software$/.test(route)).toSorted());
  });

  it("its routes as OpenAPI, and its metrics", async () => {
    const document: { paths: Record<string, object> } = (await harness.app.inject({ url: "/openapi.json" })).json();
    const properties = Object.fromEntries(
      Object.keys(RunContracts.properties).map((name) => [name, expect.anything()]),
    );
    expect(document.paths["/v1/runs/{runId}"]).toMatchObject({
      get: {
        responses: {
          200: { content: { "application/json": { schema: { properties: { contracts: { properties } } } } } },
        },
      },
    });
    const { body } = await harness.app.inject({ url: "/metrics" });
    expect(body).toMatch(/cotrain_coordinator_completed_rounds 2/);
    expect(body).toMatch(/cotrain_coordinator_received_bytes_total [1-9]/);
  });
});
