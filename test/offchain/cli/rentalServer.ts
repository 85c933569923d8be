/** A fake provider that rents, for tests of commands: one that lists offers, has machines and a meter of its own. */
import { type FakeServer, fakeServer } from "../market/fakeServer.ts";

export const USD_PER_HOUR = 1.2;

/** A row of its listing. */
export interface Listed {
  readonly id: string;
  readonly gpu: string;
  readonly gpus: number;
  readonly usd_per_hour: string;
}

export interface Machine {
  readonly id: string;
  readonly label: string;
  readonly ordered: Readonly<Record<string, unknown>>;
  readonly createdAt: number;
  endsAt: number | undefined;
}

export interface RentalServer {
  readonly server: FakeServer;
  readonly machines: readonly Machine[];
  /** What its webhook was told. */
  readonly posted: readonly { readonly what: string; readonly label: string | null }[];
  readonly alive: () => readonly Machine[];
  readonly add: (label: string, ordered?: Machine["ordered"]) => Machine;
  /** µUSD on its meter, by the second from a machine's creation. */
  readonly meter: (machine: Machine) => bigint;
}

const meter = ({ createdAt, endsAt = Date.now() }: Machine): bigint =>
  (BigInt(USD_PER_HOUR * 1e6) * BigInt(Math.ceil((endsAt - createdAt) / 1_000)) + 3_599n) / 3_600n;

const rowOf = ({ id, label, createdAt }: Machine) => ({
  id,
  label,
  state: "running",
  usd_per_hour: String(USD_PER_HOUR),
  host: "203.0.113.7",
  port: 22,
  created_at: new Date(createdAt).toISOString(),
});
const absent = { status: 404, body: { message: "no such instance" } };

/** @param offers what it lists, whenever it is asked; all at {@link USD_PER_HOUR} once they are rented */
export async function rentalServer(offers: () => readonly Listed[]): Promise<RentalServer> {
  const machines: Machine[] = [];
  const posted: { readonly what: string; readonly label: string | null }[] = [];
  const alive = () => machines.filter(({ endsAt }) => endsAt === undefined);
  const add = (label: string, ordered: Machine["ordered"] = {}): Machine => {
    const machine = { id: `i${machines.length + 1}`, label, ordered, createdAt: Date.now(), endsAt: undefined };
    machines.push(machine);
    return machine;
  };
  const server = await fakeServer({
    routes: {
      "GET /offers": () => ({ body: { offers: offers(), total: offers().length } }),
      "POST /hook": ({ body }) => {
        posted.push(body as (typeof posted)[number]);
        return { body: "ok" };
      },
      "GET /account": () => ({ body: { owner: "me" } }),
      "GET /instances": () => ({ body: { instances: alive().map(rowOf), total: alive().length } }),
      "POST /instances": ({ body }) => {
        const ordered = body as Machine["ordered"];
        return { status: 201, body: rowOf(add(String(ordered["label"]), ordered)) };
      },
      "GET /instances/:id": ({ id }) => {
        const machine = alive().find((each) => each.id === id);
        return machine === undefined ? absent : { body: rowOf(machine) };
      },
      "DELETE /instances/:id": ({ id }) => {
        const machine = alive().find((each) => each.id === id);
        if (machine === undefined) return absent;
        machine.endsAt = Date.now();
        return { body: { accepted: true } };
      },
      "GET /instances/:id/log": ({ query }) => ({
        body: ["one", "two", "three"].slice(-Number(query.get("lines"))).join("\n"),
      }),
      "GET /instances/:id/bill": ({ id }) => {
        const machine = machines.find((each) => each.id === id);
        return machine === undefined ? absent : { body: { usd: `0.${String(meter(machine)).padStart(6, "0")}` } };
      },
    },
  });
  return { server, machines, posted, alive, add, meter };
}
