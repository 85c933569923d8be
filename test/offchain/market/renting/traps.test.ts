/** What single providers could catch a renter with. */
import { describe, expect, test } from "vitest";

import { NOW } from "../offers.ts";
import { lettingOf, orderOf } from "./account.ts";
import { part, word } from "./dialect.ts";
import { dialects } from "./dialects.ts";

const of = (name: string) => {
  const dialect = dialects.find((each) => each.name === name);
  if (dialect === undefined) throw new TypeError(`there is a dialect ${name}`);
  return { dialect, order: orderOf(dialect), letting: () => lettingOf(dialect) };
};

describe.each(["fake", "vast"])("%s", (name) => {
  test("a refusal that names a machine all the same is ambiguous, and hands on its name", async () => {
    const { dialect, order, letting } = of(name);
    const { account, server, passing } = await letting();
    const id = dialect.idOf(7);
    server.failAt(dialect.creates, dialect.named?.(id) ?? "reset");
    await expect(passing(account.create(order))).rejects.toMatchObject({
      code: "PROVIDER_AMBIGUOUS",
      details: { instance: id },
    });
  });
});

describe.each(["fake", "lambda", "vast"])("%s", (name) => {
  test("an end that is refused while it is created is asked for again", async () => {
    const { order, letting } = of(name);
    const { account, cloud, clock, passing } = await letting();
    cloud.refusesWhileCreating = true;
    const { id } = await passing(account.create(order));
    expect(await passing(account.terminate(id))).toBe("not yet");
    expect(cloud.machines[0]?.endsAt).toBeUndefined();
    await clock.advance(cloud.bootFor);
    expect(await passing(account.terminate(id))).toBe("accepted");
    expect(cloud.machines[0]?.endsAt).toBeDefined();
  });
});

describe("Vast.ai", () => {
  test("an instance that was outbid is stopped, though it resumes by itself, and is told again when it has", async () => {
    const { order, letting } = of("vast");
    const { account, cloud, clock, passing } = await letting();
    const { id } = await passing(account.create(order));
    await clock.advance(cloud.bootFor);
    const [machine] = cloud.machines;
    if (machine === undefined) throw new TypeError("there is one");
    machine.phase = "stopped";
    expect((await passing(account.get(id)))?.state).toBe("stopped");
    // The container still says that it runs.
    machine.says = "running";
    expect((await passing(account.get(id)))?.state).toBe("stopped");
    machine.phase = "running";
    expect((await passing(account.get(id)))?.state).toBe("running");
  });

  test("a bid is of the offer, never above the most; on demand there is none; nothing waits in line", async () => {
    const { order, letting } = of("vast");
    const { account, cloud, passing } = await letting();
    await passing(account.create(order));
    await passing(account.create({ ...order, maximumPerHour: 200_000n }));
    await passing(
      account.create({ ...order, offer: { ...order.offer, price: { ...order.offer.price, charge: "on-demand" } } }),
    );
    expect(cloud.machines.map(({ ordered }) => part(ordered, "price"))).toEqual([0.3123, 0.2, undefined]);
    for (const { ordered } of cloud.machines)
      expect(ordered).toMatchObject({ cancel_unavail: true, target_state: "running", disk: 100 });
  });

  test("creates are 4.5 seconds apart, ends three", async () => {
    const { order, letting } = of("vast");
    const { account, clock, passing } = await letting();
    for (let time = 0; time < 3; time++) await passing(account.create(order));
    expect(clock.monotonic()).toBeGreaterThanOrEqual(9_000);
    const before = clock.monotonic();
    for (let time = 0; time < 3; time++) await passing(account.terminate("1"));
    expect(clock.monotonic() - before).toBeGreaterThanOrEqual(6_000);
  });

  test("a wrong key, which is a 404 too, is no absence", async () => {
    const { letting } = of("vast");
    const { accountOf, passing } = await letting();
    const wrong = accountOf("a-key-of-nobody-0123456789");
    await expect(passing(wrong.get("9000001"))).rejects.toMatchObject({ code: "PROVIDER_AUTH" });
    await expect(passing(wrong.terminate("9000001"))).rejects.toMatchObject({ code: "PROVIDER_AUTH" });
  });

  test("charges are of one instance, over all pages", async () => {
    const { order, letting } = of("vast");
    const { account, cloud, clock, passing } = await letting();
    for (let time = 0; time < 5; time++) await passing(account.create(order));
    await clock.advance(3_600_000);
    const last = (await passing(account.list())).at(-1);
    const machine = cloud.machines.at(-1);
    if (last === undefined || machine === undefined) throw new TypeError("there is one");
    expect(Number(((await passing(account.bill(last))) ?? 0n) - cloud.meter(machine))).toBeCloseTo(0, -3);
  });
});

describe("RunPod", () => {
  test("400 is no capacity in its own words, 422 a broken rule, 402 no funds, 403 a key without the right", async () => {
    const { dialect, order, letting } = of("runpod");
    const { account, server, passing, cloud } = await letting();
    cloud.isFull = true;
    await expect(passing(account.create(order))).rejects.toThrow(
      /no capacity: There are no instances currently available/,
    );
    for (const [status, code] of [
      [422, "PROVIDER_REFUSED"],
      [402, "PROVIDER_FUNDS"],
      [403, "PROVIDER_AUTH"],
    ] as const) {
      server.failAt(dialect.creates, { status, body: { title: "x", status, detail: "y" } });
      await expect(passing(account.create(order))).rejects.toMatchObject({ code });
    }
  });

  test("pods of clusters are listed too; what is stopped tells no price, not that it is free", async () => {
    const { order, letting } = of("runpod");
    const { account, cloud, server, passing } = await letting();
    const { id } = await passing(account.create(order));
    const [machine] = cloud.machines;
    if (machine === undefined) throw new TypeError("there is one");
    machine.phase = "stopped";
    expect(await passing(account.list())).toMatchObject([{ id, state: "stopped" }]);
    expect((await passing(account.list()))[0]?.perHour).toBeUndefined();
    expect(server.asked.at(-1)?.query.get("includeClusterPods")).toBe("true");
  });
});

describe.each(["lambda", "prime"])("the SSH key of %s", (name) => {
  test("is put into the account once, found again whatever its comment, and taken out", async () => {
    const { order, letting } = of(name);
    const { account, server, passing } = await letting();
    for (let time = 0; time < 2; time++) await passing(account.create(order));
    await passing(account.create({ ...order, sshKey: `${order.sshKey ?? ""} elsewhere` }));
    expect(server.asked.filter(({ method, path }) => method === "POST" && /ssh.keys/.test(path))).toHaveLength(1);
    const [key, ...more] = await passing(account.sides?.() ?? Promise.resolve([]));
    expect(more).toEqual([]);
    expect(key).toMatchObject({ kind: "ssh-key", name: "ct-0123abcd-key" });
    await passing(account.removeSide?.(key?.id ?? "") ?? Promise.resolve());
    expect(await passing(account.sides?.() ?? Promise.resolve([]))).toEqual([]);
  });

  test("is needed, and what fails with it left no machine", async () => {
    const { order, letting } = of(name);
    const { account, server, passing, cloud } = await letting();
    const { sshKey: _, ...without } = order;
    await expect(passing(account.create(without))).rejects.toMatchObject({ code: "ORDER" });
    server.failAt(/^POST .*ssh.keys/, "reset");
    await expect(passing(account.create(order))).rejects.toMatchObject({ code: "PROVIDER_AWAY", retryable: true });
    expect(cloud.machines).toEqual([]);
  });
});

describe("Lambda", () => {
  test("launches are twelve seconds apart", async () => {
    const { order, letting } = of("lambda");
    const { account, clock, passing } = await letting();
    for (let time = 0; time < 3; time++) await passing(account.create(order));
    expect(clock.monotonic()).toBeGreaterThanOrEqual(24_000);
  });

  test("a region or key that does not exist refuses the launch, and is no absent machine", async () => {
    const { dialect, order, letting } = of("lambda");
    const { account, server, passing } = await letting();
    server.failAt(dialect.creates, {
      status: 404,
      body: { error: { code: "global/object-does-not-exist", message: "Region does not exist." } },
    });
    await expect(passing(account.create(order))).rejects.toMatchObject({ code: "PROVIDER_REFUSED" });
  });

  test("a machine that was preempted is to be ended; more than one launched is ambiguous", async () => {
    const { dialect, order, letting } = of("lambda");
    const { account, cloud, server, passing } = await letting();
    const { id } = await passing(account.create(order));
    const [machine] = cloud.machines;
    if (machine === undefined) throw new TypeError("there is one");
    machine.says = "preempted";
    expect((await passing(account.get(id)))?.state).toBe("failed");
    server.failAt(dialect.creates, { body: { data: { instance_ids: ["a", "b"] } } });
    await expect(passing(account.create(order))).rejects.toMatchObject({ code: "PROVIDER_AMBIGUOUS" });
  });
});

describe("Prime Intellect", () => {
  test("a pod works when it is installed, and has failed when that has; it is never restarted by itself", async () => {
    const { dialect, order, letting } = of("prime");
    const { account, cloud, server, clock, passing } = await letting();
    const { id } = await passing(account.create(order));
    await clock.advance(cloud.bootFor);
    const pod = { id, name: "x", status: "ACTIVE", priceHr: 1, createdAt: "2026-11-29T00:00:00" };
    server.failAt(dialect.gets, { body: { ...pod, installationStatus: "PENDING", installationFailure: null } });
    expect((await passing(account.get(id)))?.state).toBe("creating");
    server.failAt(dialect.gets, { body: { ...pod, installationStatus: "FINISHED", installationFailure: "no driver" } });
    expect((await passing(account.get(id)))?.state).toBe("failed");
    expect((await passing(account.get(id)))?.ssh).toEqual({ host: "203.0.113.30", port: 1_234, user: "root" });
    expect(cloud.machines[0]?.ordered).toMatchObject({ pod: { autoRestart: false, maxPrice: 30 } });
  });
});

describe("Shadeform", () => {
  test("is told when to end the machine by itself, and does", async () => {
    const { order, letting } = of("shadeform");
    const { account, cloud, clock, passing } = await letting();
    await passing(account.create(order));
    expect(part(cloud.machines[0]?.ordered, "auto_delete")).toEqual({
      delete_at: new Date(NOW + 86_400_000).toISOString(),
    });
    await clock.advance(86_400_000 + 60_000);
    expect(await passing(account.list())).toEqual([]);
  });

  test("a container gets its image, arguments and variables, without a script", async () => {
    const { order, letting } = of("shadeform");
    const { account, cloud, passing } = await letting();
    await passing(account.create({ ...order, offer: { ...order.offer, kind: "container" } }));
    expect(part(cloud.machines[0]?.ordered, "launch_configuration")).toMatchObject({
      type: "docker",
      docker_configuration: {
        image: order.image,
        args: expect.stringMatching(/^sh -c "echo \S+ \| base64 -d \| sh"$/),
      },
    });
  });
});

describe("io.net", () => {
  test("hours are paid before, at the least one, and more later", async () => {
    const { order, letting } = of("ionet");
    const { account, cloud, passing } = await letting();
    await passing(account.create(order));
    const { id } = await passing(account.create({ ...order, prepaidSeconds: 5_000 }));
    expect(cloud.machines.map(({ ordered }) => part(ordered, "duration_hours"))).toEqual([1, 2]);
    await passing(account.extend?.(id, 3, 5) ?? Promise.resolve());
    expect(part(cloud.machines[1]?.ordered, "duration_hours")).toBe(5);
    expect(await passing(account.bill({ id, state: "running", words: "" }))).toBe(5n * 15_920_000n);
  });

  test("secrets go where they are not shown", async () => {
    const { order, letting } = of("ionet");
    const { account, cloud, passing } = await letting();
    await passing(account.create(order));
    expect(part(cloud.machines[0]?.ordered, "container_config.env_variables")).toBeUndefined();
  });
});

describe("Akash", () => {
  test("the cheapest bid in a unit of known rate is leased, once one has come", async () => {
    const { order, letting } = of("akash");
    const { account, clock, passing, server } = await letting();
    const created = await passing(account.create(order));
    expect(created).toMatchObject({ state: "running", perHour: 1_500_000n });
    expect(clock.monotonic()).toBeGreaterThanOrEqual(12_000);
    expect(server.asked.filter(({ path }) => path === "/v1/bids").length).toBeGreaterThan(1);
  });

  test("no bid within the price closes the deployment; where that fails the error names it", async () => {
    const { dialect, order, letting } = of("akash");
    const { account, cloud, server, passing } = await letting();
    const dear = { ...order, maximumPerHour: 1_000_000n };
    await expect(passing(account.create(dear))).rejects.toMatchObject({ code: "PROVIDER_CAPACITY" });
    expect(cloud.machines[0]?.endsAt).toBeDefined();
    server.failAt(/^DELETE/, { status: 400, body: {} });
    await expect(passing(account.create(dear))).rejects.toMatchObject({
      code: "PROVIDER_AMBIGUOUS",
      details: { instance: dialect.idOf(1) },
    });
  });

  test("a deployment that the console does not close is named, whatever else was wrong", async () => {
    const { dialect, order, letting } = of("akash");
    const { account, server, passing } = await letting();
    server.failAt(/^DELETE/, { status: 200, body: { data: { success: false } } });
    await expect(passing(account.create({ ...order, maximumPerHour: 1_000_000n }))).rejects.toMatchObject({
      code: "PROVIDER_AMBIGUOUS",
      details: { instance: dialect.idOf(0) },
    });
  });

  test.each(["late", "reset", { status: 400, body: { message: "no such bid" } }] as const)(
    "a lease that ends in %s leaves a deployment that the error names",
    async (fault) => {
      const { dialect, order, letting } = of("akash");
      const { account, server, passing } = await letting();
      server.failAt(/^POST \/v1\/leases$/, fault);
      await expect(passing(account.create(order))).rejects.toMatchObject({
        code: "PROVIDER_AMBIGUOUS",
        details: { instance: dialect.idOf(0) },
      });
    },
  );

  test.each([
    ["above the price", { maximumPerHour: 1_499_999n }],
    ["at all", {}],
  ])("without a bid %s nothing is leased and nothing is left", async (_, change) => {
    const { order, letting } = of("akash");
    const { account, cloud, clock, server, passing } = await letting();
    cloud.isFull = Object.keys(change).length === 0;
    await expect(passing(account.create({ ...order, ...change }))).rejects.toMatchObject({ code: "PROVIDER_CAPACITY" });
    expect(server.asked.filter(({ path }) => path === "/v1/leases")).toEqual([]);
    await clock.advance(cloud.killFor);
    expect((await passing(account.list())).map(({ state }) => state)).toEqual(["gone"]);
  });

  test("its first hour is set and put down for, at the limit and at the least 5 dollars", async () => {
    const { order, letting } = of("akash");
    const { account, cloud, passing } = await letting();
    await passing(account.create({ ...order, maximumPerHour: 12_345_678n }));
    await passing(account.create({ ...order, maximumPerHour: 1_500_000n }));
    const said = cloud.machines.map(({ ordered }) => [part(ordered, "hours"), part(ordered, "deposit")]);
    expect(said).toEqual([
      [1, 12.345678],
      [1, 5],
    ]);
    expect(account.terms).toMatchObject({ prepaidSeconds: 3_600, deposit: 5_000_000n });
  });

  test("by a console that does not take the time nothing is leased, and nothing is left", async () => {
    const { order, letting } = of("akash");
    const { account, cloud, clock, server, passing } = await letting();
    const settings = { data: { autoTopUpEnabled: true } };
    server.failAt(/^GET \/v2\/deployment-settings/, { status: 200, body: settings });
    await expect(passing(account.create(order))).rejects.toMatchObject({
      code: "PROVIDER_REFUSED",
      message: expect.stringContaining("does not end a deployment by time"),
    });
    expect(server.asked.filter(({ path }) => path === "/v1/leases")).toEqual([]);
    await clock.advance(cloud.killFor);
    expect((await passing(account.list())).map(({ state }) => state)).toEqual(["gone"]);
  });

  test("it ends by itself when its time is over, which is raised to a new total", async () => {
    const { order, letting } = of("akash");
    const { account, cloud, clock, passing } = await letting();
    const { id } = await passing(account.create(order));
    await clock.advance(3_000_000);
    await passing(account.extend?.(id, 1, 2) ?? Promise.resolve());
    await clock.advance(3_000_000);
    expect(await passing(account.get(id))).toMatchObject({ state: "running" });
    await clock.advance(1_300_000);
    const ended = await passing(account.get(id));
    expect(ended).toMatchObject({ state: "gone", words: "closed, lease closed" });
    // What was not used is not charged.
    const [machine] = cloud.machines;
    expect(await passing(account.bill(ended ?? { id, state: "gone", words: "" }))).toBe(
      machine && cloud.meter(machine),
    );
    await expect(passing(account.extend?.(id, 1, 3) ?? Promise.resolve())).rejects.toMatchObject({
      code: "PROVIDER_REFUSED",
    });
  });

  test.each(["late", "reset"] as const)(
    "a time that may have been raised (%s) is not asked for again",
    async (fault) => {
      const { order, letting } = of("akash");
      const { account, server, passing } = await letting();
      const { id } = await passing(account.create(order));
      server.failAt(/^PATCH/, fault);
      // As of a create, nobody knows what became of it.
      await expect(passing(account.extend?.(id, 1, 2) ?? Promise.resolve())).rejects.toMatchObject({
        code: "PROVIDER_AMBIGUOUS",
      });
      expect(server.asked.filter(({ method }) => method === "PATCH")).toHaveLength(1);
    },
  );

  test("its limit is told by the block, rounded down", async () => {
    const { order, letting } = of("akash");
    const { account, cloud, passing } = await letting();
    await passing(account.create({ ...order, maximumPerHour: 1_500_599n }));
    const sdl: unknown = JSON.parse(word(cloud.machines[0]?.ordered, "sdl"));
    expect(part(sdl, "profiles.placement.any.pricing.worker")).toEqual({ denom: "uact", amount: 2_500 });
  });
});
