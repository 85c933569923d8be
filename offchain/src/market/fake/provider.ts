/**
 * The fake provider: a server on this machine's loopback that lets machines as a provider does, in the plain form of
 * `adapters/fake.ts`, and meters them by the second. Its money is none. Demonstrations and trials rent from it by the same road as from
 * any other.
 */
import { Type } from "typebox";

import { UserError } from "../../base/index.ts";
import { createHttpServer, type HttpApp, listen } from "../../service/index.ts";
import { exactUsd, type MicroUsd } from "../money.ts";
import { isOwn } from "./caller.ts";
import { createFakeStock, type FakeMachine, type FakeStock, type FakeStockOptions, isThere } from "./stock.ts";

/** What it lets: a name that nobody takes for a GPU that is there. */
const GPU = { gpu: "Make-believe GPU", vram_gb: 24, gpus: 1, ram_gb: 16, up_mbps: 1_000 };
const PAGE = 20;

const Order = Type.Object({
  label: Type.String({ pattern: "^ct-[a-z0-9-]{1,57}$" }),
  script: Type.String({ minLength: 1, maxLength: 4_000 }),
  environment: Type.Record(
    Type.String({ pattern: "^[A-Z_][A-Z0-9_]{0,63}$" }),
    Type.String({ pattern: "^[\\x20-\\x7e]{0,2048}$" }),
    { maxProperties: 64 },
  ),
  ends_at: Type.Optional(Type.Integer({ minimum: 0, maximum: 8.64e15 })),
});
const ById = Type.Object({ id: Type.String({ pattern: "^fake-\\d{1,9}$" }) });
const ByPage = Type.Object({ page: Type.Integer({ minimum: 1, maximum: 1_000 }) });

export interface FakeProviderOptions extends FakeStockOptions {
  readonly port: number;
  /** Whether no other port will do. */
  readonly explicitPort: boolean;
}

/** What it has let, by its own meter. */
export interface FakeTotals {
  readonly machines: number;
  /** Of them those that are there still. */
  readonly left: number;
  /** US dollars, as a decimal. */
  readonly usd: string;
}

export interface FakeProvider {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** @throws as `listen` */
export async function openFakeProvider(options: FakeProviderOptions): Promise<FakeProvider> {
  const { logger, perHour, port: wanted, explicitPort } = options;
  const stock = createFakeStock(options);
  const app = await createHttpServer({
    logger,
    title: "A fake provider of machines",
    version: "1",
    statusByCode: { FAKE_STRANGER: 403, NOT_FOUND: 404 },
  });
  app.addHook("onRequest", async ({ socket }) => {
    if (!(await isOwn(socket)))
      throw new UserError("FAKE_STRANGER", "The fake provider lets its machines to whoever started it alone.");
  });
  registerTotals(app, stock, perHour);
  registerInstances(app, stock, perHour);
  const { url, port } = await listen(app, {
    port: wanted,
    explicitPort,
    purpose: "the fake provider",
    flag: "--port",
  });
  return {
    url,
    port,
    close: async () => {
      await app.close();
      await stock.close();
    },
  };
}

function registerTotals(app: HttpApp, stock: FakeStock, perHour: MicroUsd): void {
  app.get("/", async (): Promise<FakeTotals> => ({
    machines: stock.machines.length,
    left: stock.machines.filter(isThere).length,
    usd: exactUsd(stock.machines.reduce((sum, machine) => sum + stock.meter(machine), 0n)),
  }));
  app.get("/account", async () => ({ owner: "nobody" }));
  app.get("/offers", async () => ({
    offers: [{ id: "make-believe", ...GPU, usd_per_hour: exactUsd(perHour) }],
    total: 1,
  }));
}

function registerInstances(app: HttpApp, stock: FakeStock, perHour: MicroUsd): void {
  const absent = { message: "no such instance" };
  const find = (id: string): FakeMachine | undefined => stock.machines.find((machine) => machine.id === id);
  const rowOf = ({ id, label, state, createdAt }: FakeMachine) => ({
    id,
    label,
    state,
    usd_per_hour: exactUsd(perHour),
    created_at: new Date(createdAt).toISOString(),
  });
  app.post("/instances", { schema: { body: Order } }, async ({ body: { ends_at: endsAt, ...order } }, reply) => {
    const machine = stock.create(order, endsAt);
    return machine === undefined
      ? reply.status(409).send({ message: "no stock" })
      : reply.status(201).send(rowOf(machine));
  });
  app.get("/instances", { schema: { querystring: ByPage } }, async ({ query: { page } }) => {
    const there = stock.machines.filter(isThere);
    return { instances: there.slice((page - 1) * PAGE, page * PAGE).map(rowOf), total: there.length };
  });
  app.get("/instances/:id", { schema: { params: ById } }, async ({ params: { id } }, reply) => {
    const machine = find(id);
    return machine !== undefined && isThere(machine) ? rowOf(machine) : reply.status(404).send(absent);
  });
  app.delete("/instances/:id", { schema: { params: ById } }, async ({ params: { id } }, reply) => {
    const machine = find(id);
    if (machine === undefined || !isThere(machine)) return reply.status(404).send(absent);
    stock.end(machine);
    return { accepted: true };
  });
  app.get("/instances/:id/bill", { schema: { params: ById } }, async ({ params: { id } }, reply) => {
    const machine = find(id);
    return machine === undefined ? reply.status(404).send(absent) : { usd: exactUsd(stock.meter(machine)) };
  });
}
