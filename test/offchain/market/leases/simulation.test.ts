/**
 * Leases against clouds that fail at every call, under seeds: no slot has two machines, no machine is left, none counts as at work on
 * which nobody began what it is to do, no budget is overspent also where whoever keeps them dies for ever, and what is counted is what
 * the clouds' own meters say.
 */
import { expect, test } from "vitest";

import { createRandom } from "../../../../offchain/src/base/index.ts";
import { parseLabel } from "../../../../offchain/src/market/base/labels.ts";
import { costOf } from "../../../../offchain/src/market/leases/cost.ts";
import { leasesOf } from "../../../../offchain/src/market/leases/state.ts";
import type { Cloud, Machine } from "./cloud.ts";
import { clusterOf, kinds, offersFor, rules, type World, worldOf } from "./world.ts";

const SEEDS = 200;
const LOOK = 30_000;
/** Ms for which an account's key is another's. */
const STRANGE_FOR = 2 * LOOK;
/** Looks while everything fails, and after that at the most until all is gone. */
const [STORMY, CALM] = [40, 60];

const slotOf = ({ label }: Machine): string => parseLabel(label)?.lease ?? "";

/** Machines that exist beside another of their slot. */
function doubled(world: World): Machine[] {
  const alive = world
    .machines()
    .filter(({ cloud, machine }) => cloud.isAlive(machine) && machine.bornAt <= world.clock.now());
  const bySlot = Map.groupBy(alive, ({ machine }) => slotOf(machine));
  return [...bySlot.values()].flatMap((all) => all.slice(1).map(({ machine }) => machine));
}

/** What happens in the world beside the calls. */
async function happen(world: World, strange: Map<Cloud, number>): Promise<void> {
  const { random, clouds, clock } = world;
  const keeper = await world.keeper();
  for (const cloud of clouds) {
    // While the key is another's nobody can end a machine: what is kept in hand is for so long.
    if (cloud.strangeKey)
      cloud.strangeKey = random.below(3) > 0 && clock.now() - (strange.get(cloud) ?? 0) < STRANGE_FOR;
    else if (random.below(30) === 0) {
      cloud.strangeKey = true;
      strange.set(cloud, clock.now());
    }
    for (const machine of cloud.machines) {
      const lease = leasesOf(keeper.book()).find(({ instance }) => instance === machine.id);
      if (lease === undefined || !cloud.isAlive(machine) || world.clock.now() < machine.readyAt) continue;
      if (random.below(40) === 0) cloud.preempt(machine, random.below(2) === 0 ? "paused" : "gone");
      else if (!machine.paused && machine.begun > 0 && random.below(10) > 0)
        await world.does((each) => each.tell({ type: "beat", label: lease.label }));
    }
  }
  if (random.below(20) === 0) {
    const open = leasesOf(keeper.book()).filter(({ state }) => state !== "gone");
    if (open.length > 0) {
      const { label } = random.pick(open);
      await world.does((each) =>
        each.tell({ type: "end", label, words: "By hand.", drainMs: random.below(2) * 60_000 }),
      );
    }
  }
}

const isQuiet = (world: World): boolean => world.machines().every(({ cloud, machine }) => !cloud.isAlive(machine));

interface Drawn {
  readonly world: World;
  readonly budget: bigint;
}

function draw(seed: number): Drawn {
  const random = createRandom(`leases ${seed}`);
  const terms = random.shuffle([...kinds]).slice(0, 1 + random.below(3));
  const world = worldOf(`world ${seed}`, terms, offersFor(terms, random));
  // Some are not enough for one machine, some for all that is wanted.
  return { world, budget: BigInt(Math.round(150_000 * 2 ** (6 * random.float()))) };
}

/** The storm: faults at every call, kills, other keys, preemptions. @returns what was wrong meanwhile */
async function storm({ world, budget }: Drawn): Promise<string[]> {
  const { random, clouds, clock } = world;
  const wrong: string[] = [];
  const strange = new Map<Cloud, number>();
  for (const cloud of clouds) {
    cloud.faults = random.pick([0, 0.1, 0.3]);
    cloud.dearer = random.pick([0, 0.2]);
  }
  world.kills = random.pick([0, 0.005, 0.02]);
  const joins = random.pick(["heartbeat", "heartbeat", "running"] as const);
  const cluster = clusterOf({ slots: 1 + random.below(4), minimum: 1, budget, joins });
  // It is told again where the process died over it.
  for (let told = false; !told;)
    told = await world.does((keeper) => keeper.tell({ type: "rent", cluster, offers: [] }));
  for (let look = 0; look < STORMY; look++) {
    await world.does((keeper) => keeper.look());
    await happen(world, strange);
    clock.pass(LOOK);
    wrong.push(...doubled(world).map(({ label }) => `${label} is there twice`), ...(await idling(world)));
  }
  for (const cloud of clouds) {
    cloud.faults = 0;
    cloud.strangeKey = false;
  }
  world.kills = 0;
  return wrong;
}

/** Machines that count as at work, or as started, on which nothing has begun; and those that were tried for ever. */
async function idling(world: World): Promise<string[]> {
  const machines = new Map(world.machines().map(({ machine }) => [machine.id, machine]));
  return leasesOf((await world.keeper()).book()).flatMap(({ label, instance, joinedAt, starting }) => {
    const begun = machines.get(instance ?? "")?.begun;
    const isTold = joinedAt !== null || typeof starting?.doneAt === "number";
    return [
      ...(isTold && begun !== 1 ? [`${label} began ${begun} times`] : []),
      ...((starting?.tries ?? 0) > rules.startTries ? [`${label} was tried ${starting?.tries} times`] : []),
    ];
  });
}

const spentIn = (world: World): bigint =>
  world.machines().reduce((sum, { cloud, machine }) => sum + cloud.meter(machine), 0n);

/** Machines whose lease says another sum than their cloud's meter: exactly where it tells bills, never less where it does not. */
async function miscounted(world: World): Promise<string[]> {
  const leases = leasesOf((await world.keeper()).book());
  return world.machines().flatMap(({ cloud, machine }) => {
    const lease = leases.find(({ instance }) => instance === machine.id);
    const [metered, counted] = [cloud.meter(machine), lease === undefined ? -1n : costOf(lease, world.clock.now())];
    const isRight = cloud.terms.tellsBill ? counted === metered : counted >= metered;
    return isRight ? [] : [`${machine.id} cost ${metered}, ${counted} was counted`];
  });
}

/** Ms in which all machines end, after the last fault: they are listed late, end late, and some end only after their boot. */
const quietWithin = (world: World): number =>
  Math.max(
    ...world.clouds.map(
      ({ terms }) => terms.visibleWithin + terms.killWithin + (terms.deletableWhileCreating ? 0 : terms.boots),
    ),
  ) +
  4 * LOOK +
  world.machines().length * 5_000;

/** Everything is stopped; what does not end. */
async function stopAll(world: World): Promise<string[]> {
  const began = world.clock.now();
  let quietAt: number | undefined;
  await world.does((keeper) => keeper.tell({ type: "stop", cluster: "c1", reason: "stopped", words: "", drainMs: 0 }));
  for (let look = 0; look < CALM; look++) {
    await world.does((keeper) => keeper.look());
    world.clock.pass(LOOK);
    if (isQuiet(world)) quietAt ??= world.clock.now();
  }
  const late = quietAt === undefined || quietAt - began > quietWithin(world);
  // What may have been sent to an account whose key is away stays open for ever: nobody can tell.
  const left = leasesOf((await world.keeper()).book()).filter(
    ({ state, identity }) => state !== "gone" && identity === "owner",
  );
  return [
    ...(late ? [`it was quiet after ${(quietAt ?? Infinity) - began} ms`] : []),
    ...left.map(({ label, state }) => `${label} is ${state}`),
  ];
}

test("whatever fails, nothing is doubled, left, overspent or miscounted", { timeout: 240_000 }, async () => {
  const wrong: Record<string, readonly string[]> = {};
  let [rented, spending, brought] = [0, 0, 0];
  for (let seed = 0; seed < SEEDS; seed++) {
    const drawn = draw(seed);
    const { world, budget } = drawn;
    const found = [...(await storm(drawn)), ...(await stopAll(world)), ...(await miscounted(world))];
    const spent = spentIn(world);
    if (spent > budget) found.push(`${spent} of ${budget} were spent`);
    if (found.length > 0) wrong[seed] = found;
    rented += world.machines().length;
    if (spent > 0n) spending += 1;
    brought += world
      .machines()
      .filter(({ cloud, machine }) => cloud.terms.startsBy === "ssh" && machine.begun > 0).length;
  }
  expect(wrong).toEqual({});
  // The seeds are worth something: machines were rented under most of them.
  expect(rented).toBeGreaterThan(2 * SEEDS);
  expect(spending).toBeGreaterThan(SEEDS / 2);
  expect(brought).toBeGreaterThan(SEEDS / 4);
});

test("with nobody left to keep them, a watchdog ends all within the budget", { timeout: 240_000 }, async () => {
  const wrong: Record<string, readonly string[]> = {};
  for (let seed = 0; seed < SEEDS; seed += 2) {
    const drawn = draw(seed);
    const { world, budget } = drawn;
    await storm(drawn);
    world.killForEver();
    for (let look = 0; look < CALM; look++) {
      await world.watch();
      world.clock.pass(LOOK);
    }
    const spent = spentIn(world);
    if (!isQuiet(world) || spent > budget) wrong[seed] = [`quiet: ${isQuiet(world)}`, `${spent} of ${budget}`];
  }
  expect(wrong).toEqual({});
});
