/** What renting must do at every provider, each against a server that behaves like it. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

import type { CotrainError } from "@cotrain/sdk/errors";

import { adapters } from "../../../../offchain/src/market/adapters/index.ts";
import type { InstanceState } from "../../../../offchain/src/market/base/renting.ts";
import { NOW } from "../offers.ts";
import { SECRET } from "../providers.ts";
import { LABEL, lettingOf, orderOf, OTHER } from "./account.ts";
import type { Phase } from "./cloud.ts";
import { dialects } from "./dialects.ts";

test("every provider that is listed lets machines", () => {
  expect(dialects.map(({ name }) => name)).toEqual(adapters.map(({ name }) => name));
});

describe.each(dialects)("$name", (dialect) => {
  const { name, creates, lists, gets } = dialect;
  const order = orderOf(dialect);
  const letting = (timeout?: number) => lettingOf(dialect, timeout);
  const createsOf = (asked: readonly { method: string; path: string }[]) =>
    asked.filter(({ method, path }) => creates.test(`${method} ${path}`));

  test("an order becomes one machine, which carries it, is listed by its label, and runs", async () => {
    const { account, cloud, server, clock, passing } = await letting();
    const created = await passing(account.create(order));
    expect(created).toMatchObject({ label: LABEL, state: expect.stringMatching(/^(creating|running)$/) });
    expect(cloud.machines).toHaveLength(1);
    expect(createsOf(server.asked)).toHaveLength(1);
    const nothing = { image: "", script: "", environment: {} };
    const { image, script, environment } = order;
    expect(dialect.startedBy(cloud.machines[0]?.ordered)).toEqual(
      account.terms.startsBy === "provider" ? { image, script, environment } : nothing,
    );
    await clock.advance(cloud.bootFor);
    const found = await passing(account.get(created.id));
    expect(found).toMatchObject({ id: created.id, state: "running" });
    expect(found?.label).toBe(account.terms.keepsLabel ? LABEL : undefined);
    expect(await passing(account.list())).toEqual([found]);
    expect(Math.abs((found?.createdAt ?? NOW) - NOW)).toBeLessThanOrEqual(60_000);
  });

  test("its words are ours by a table; one that no row has is unknown, never gone", async () => {
    const { account, cloud, passing, rent } = await letting();
    await rent(1);
    const [machine] = cloud.machines;
    if (machine === undefined) throw new TypeError("there is one");
    cloud.bootFor = Number.MAX_SAFE_INTEGER;
    const own: Partial<Record<Phase, InstanceState>> = {};
    for (const phase of ["creating", "running", "stopped", "failed", "ending", "gone"] as const) {
      const says = dialect.words[phase] ?? (name === "fake" ? phase : undefined);
      if (says === undefined) continue;
      machine.phase = phase;
      if (phase === "gone") machine.says = says;
      own[phase] = (await passing(account.get(machine.id)))?.state ?? "gone";
      expect({ [phase]: own[phase] }).toEqual({ [phase]: phase });
    }
    machine.phase = "running";
    for (const says of ["a word of next year", "constructor", "__proto__", "GONE "]) {
      machine.says = says;
      expect(await passing(account.get(machine.id))).toMatchObject({
        state: "unknown",
        words: expect.stringContaining(says.trim()),
      });
    }
  });

  test.each([
    "reset",
    "late",
    { status: 500, body: "oops" },
    { status: 502, body: "<html>" },
    { status: 408, body: {} },
  ] as const)("a create that ends in %s is ambiguous and never sent again", async (fault) => {
    const { account, cloud, server, passing } = await letting();
    server.failAt(creates, fault);
    await expect(passing(account.create(order))).rejects.toMatchObject({
      code: "PROVIDER_AMBIGUOUS",
      retryable: false,
    });
    expect(createsOf(server.asked)).toHaveLength(1);
    const labels = (await passing(account.list())).map(({ label }) => label);
    expect(labels).toEqual(fault === "late" ? [account.terms.keepsLabel ? LABEL : undefined] : []);
    expect(cloud.machines).toHaveLength(labels.length);
  });

  test("a create that is never answered is ambiguous", async () => {
    const { account, server, passing } = await letting(300);
    server.failAt(creates, "hang");
    await expect(passing(account.create(order))).rejects.toMatchObject({ code: "PROVIDER_AMBIGUOUS" });
    expect(createsOf(server.asked)).toHaveLength(1);
  });

  test.each([
    ["no JSON", "<html>"],
    ["nothing", {}],
    ["null", null],
    ["a list", []],
    ["an empty answer", ""],
    ["wrong fields", { id: {}, data: 7, new_contract: [], deployment_id: null }],
  ])("%s for the answer of a create is ambiguous", async (_, body) => {
    const { account, server, passing } = await letting();
    server.failAt(creates, { body });
    await expect(passing(account.create(order))).rejects.toMatchObject({ code: "PROVIDER_AMBIGUOUS" });
    expect(createsOf(server.asked)).toHaveLength(1);
  });

  test("a create that is asked too often is no machine, and not sent again by itself", async () => {
    const { account, server, passing, cloud } = await letting();
    server.failAt(creates, { status: 429, body: "API requests too frequent" });
    await expect(passing(account.create(order))).rejects.toMatchObject({ code: "PROVIDER_BUSY" });
    expect(createsOf(server.asked)).toHaveLength(1);
    expect(cloud.machines).toHaveLength(0);
  });

  test("out of stock is told as that", async () => {
    const { account, cloud, passing } = await letting();
    cloud.isFull = true;
    await expect(passing(account.create(order))).rejects.toMatchObject({ code: "PROVIDER_CAPACITY" });
    // What a deployment of an auction left is closed.
    for (const machine of cloud.machines) expect(machine.endsAt).toBeDefined();
  });

  test("a listing has every page, or it is an error", async () => {
    const { account, server, passing, rent } = await letting();
    await rent(63);
    const found = await passing(account.list());
    expect(new Set(found.map(({ id }) => id)).size).toBe(63);
    const broken = [
      { body: {} },
      { body: { success: true, instances: [7], pods: [7], data: [7], total: 1, total_count: 1, total_instances: 1 } },
    ];
    for (const fault of broken) {
      server.failAt(lists, fault, fault, fault);
      await expect(passing(account.list())).rejects.toMatchObject({ code: "PROVIDER_UNREADABLE" });
      // What the other tries would have had.
      server.forget();
    }
  });

  test("an error of a listing or of a machine is never absence", async () => {
    const { account, server, passing, rent, cloud } = await letting();
    await rent(1);
    const id = cloud.machines[0]?.id ?? "";
    for (const fault of [
      { status: 404, body: "<html>not found</html>" },
      { status: 404, body: {} },
      { status: 401, body: {} },
      { status: 403, body: {} },
    ]) {
      server.failAt(gets, fault);
      await expect(passing(account.get(id))).rejects.toMatchObject({
        code: expect.stringMatching(/^PROVIDER_/),
      });
      server.failAt(lists, fault);
      await expect(passing(account.list())).rejects.toMatchObject({
        code: expect.stringMatching(/^PROVIDER_(AUTH|REFUSED)$/),
      });
    }
  });

  test("a machine may be listed late, within the time that is told", async () => {
    const { account, cloud, clock, passing } = await letting();
    cloud.visibleAfter = account.terms.visibleWithin - 30_000 > 0 ? account.terms.visibleWithin - 30_000 : 5_000;
    const { id } = await passing(account.create(order));
    expect(await passing(account.list())).toEqual([]);
    await clock.advance(account.terms.visibleWithin);
    expect(await passing(account.list())).toMatchObject([{ id }]);
  });

  test("a terminate is accepted, again and of what is not there, and ends the bill in time", async () => {
    const { account, cloud, clock, passing } = await letting();
    const { id } = await passing(account.create(order));
    await clock.advance(cloud.bootFor);
    expect(await passing(account.terminate(id))).toBe("accepted");
    expect(await passing(account.terminate(id))).toBe("accepted");
    await clock.advance(account.terms.killWithin);
    expect((await passing(account.get(id)))?.state).toBe(dialect.remembers === true ? "gone" : undefined);
    expect((await passing(account.list())).filter(({ state }) => state !== "gone")).toEqual([]);
    expect(await passing(account.terminate(id))).toBe("accepted");
    const [machine] = cloud.machines;
    if (machine === undefined) throw new TypeError("there is one");
    const meter = cloud.meter(machine);
    await clock.advance(3_600_000);
    expect(cloud.meter(machine)).toBe(meter);
  });

  test("a terminate that is lost is asked again; one that is an error is none", async () => {
    const { account, cloud, server, clock, passing } = await letting();
    const { id } = await passing(account.create(order));
    await clock.advance(cloud.bootFor);
    server.failAt(/^DELETE|terminate$|delete$/, "late", { status: 503, body: "" });
    expect(await passing(account.terminate(id))).toBe("accepted");
    server.failAt(/^DELETE|terminate$|delete$/, { status: 403, body: {} });
    await expect(passing(account.terminate(id))).rejects.toMatchObject({ code: "PROVIDER_AUTH" });
  });

  test("a price above the quote is told as it is", async () => {
    const { account, cloud, passing, clock } = await letting();
    const { id } = await passing(account.create(order));
    await clock.advance(cloud.bootFor);
    const [machine] = cloud.machines;
    if (machine === undefined) throw new TypeError("there is one");
    const before = (await passing(account.get(id)))?.perHour;
    expect(before).toBe(name === "ionet" ? undefined : machine.perHour);
    machine.perHour = 40_020_000n;
    expect((await passing(account.get(id)))?.perHour).toBe(name === "ionet" ? undefined : 40_020_000n);
  });

  test("an order of another form is sent nowhere, and its variables stand in no error", async () => {
    const { account, server, passing } = await letting();
    for (const [change, words] of [
      [{ label: "mine" }, "label"],
      [{ image: "cotrain/worker:latest" }, "digest"],
      [{ script: "x".repeat(5_000) }, "script"],
      [{ environment: { A: "secret\nB=2" } }, "variable"],
      [{ environment: { "A b": "secret" } }, "variable"],
      [{ sshKey: "-oProxyCommand=x" }, "SSH key"],
      [{ diskGb: 0 }, "disk"],
      [{ maximumPerHour: 0n }, "price"],
    ] as const) {
      const error: unknown = await passing(account.create({ ...order, ...change })).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: "ORDER", message: expect.stringContaining(words) });
      expect((error as CotrainError).message).not.toContain("secret");
    }
    expect(server.asked).toEqual([]);
  });

  test("is tables and mappings of at most 200 lines", () => {
    const file = new URL(`../../../../offchain/src/market/adapters/renting/${name}.ts`, import.meta.url);
    expect(readFileSync(file, "utf8").split("\n").length).toBeLessThanOrEqual(200);
  });
});

describe.each(dialects.filter(({ partial }) => partial !== undefined))("$name, by pages,", (dialect) => {
  test("a listing that ends before its total is an error", async () => {
    const { account, server, passing } = await lettingOf(dialect);
    server.failAt(dialect.lists, dialect.partial ?? "reset");
    await expect(passing(account.list())).rejects.toMatchObject({ code: "PROVIDER_UNREADABLE" });
  });
});

describe.each(["fake", "vast", "runpod", "prime", "ionet", "akash"])("the bill of %s", (name) => {
  test("is what its own meter says", async () => {
    const dialect = dialects.find((each) => each.name === name);
    if (dialect === undefined) throw new TypeError("there is one");
    const { account, cloud, clock, passing } = await lettingOf(dialect);
    expect(account.terms.tellsBill).toBe(true);
    const { id } = await passing(account.create(orderOf(dialect)));
    await clock.advance(cloud.bootFor + 1_234_000);
    const running = await passing(account.get(id));
    await passing(account.terminate(id));
    await clock.advance(account.terms.killWithin);
    const [machine] = cloud.machines;
    if (machine === undefined || running === undefined) throw new TypeError("there is one");
    // What is paid before, by the hour, is paid whole; Vast.ai tells tenths of a cent.
    const told = name === "ionet" ? 15_920_000n : cloud.meter(machine);
    const off = ((await passing(account.bill(running))) ?? -1_000_000n) - told;
    expect(Math.abs(Number(off))).toBeLessThanOrEqual(name === "vast" ? 500 : 0);
  });
});

describe.each(dialects.filter(({ name }) => name !== "fake"))("the owner of a key of $name", (dialect) => {
  test("is told apart from another, whose empty listing is no absence", async () => {
    const { account, accountOf, passing, rent } = await lettingOf(dialect);
    await rent(1);
    const other = accountOf(OTHER);
    expect(await passing(account.list())).toHaveLength(1);
    expect(await passing(other.list())).toEqual([]);
    const mine = await passing(account.identity());
    expect(await passing(other.identity())).not.toBe(mine);
    expect(await passing(accountOf(SECRET).identity())).toBe(mine);
    expect(mine).toMatch(new RegExp(`^${dialect.name}:`));
  });
});
