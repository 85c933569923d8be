/**
 * Where leases of machines and the coordinators of their runs meet: what a coordinator knows of a machine's workers comes to whoever
 * keeps the leases, and the end of a lease, or of a run, to the other. Neither room knows of the other. The passes that lie beside the ledger say
 * which machine is whose, so that it goes on in whatever process keeps the leases.
 */
import { CoordinatorError, ProtocolError } from "@cotrain/sdk/errors";
import {
  asRunId,
  type CoordinatorClient,
  createCoordinatorClient,
  leaseOfPass,
  type LeaseView,
  type MachineReport,
  parsePass,
  type SignedPass,
} from "@cotrain/sdk/protocol";
import pLimit from "p-limit";

import { printable } from "../base/index.ts";
import {
  forgetPasses,
  type GivenPasses,
  isOpen,
  type Keeper,
  type Lease,
  mayJoin,
  notedPasses,
} from "../market/index.ts";

/** A member that was heard of within this, ms, is alive. */
const ALIVE = 10_000;
const MAX_WORDS = 200;
/** Machines that coordinators are asked about at once. */
const AT_ONCE = 8;

type Asked = Pick<CoordinatorClient, "lease" | "run">;

const cannotTrain = ({ devices }: MachineReport): boolean =>
  devices.every(({ tokensPerSecond }) => tokensPerSecond === null);

/** The machine's own words, and whoever has it is a stranger. */
function whyNot({ devices }: MachineReport): string {
  const words = printable(devices[0]?.missing ?? "").slice(0, MAX_WORDS);
  return words === "" ? "No device of it trains." : `No device of it trains: ${words}`;
}

const isAlive = ({ member, heardMs }: LeaseView): boolean => member && heardMs !== null && heardMs <= ALIVE;

/** Passes that still serve: of others there is nothing to end. @throws ProtocolError MALFORMED_PASS */
const serving = ({ passes }: GivenPasses, now: number): readonly SignedPass[] =>
  passes.map(parsePass).filter(({ pass }) => Number(pass.notAfter) > now);

/** Tells a coordinator that a machine's passes serve no longer. @throws CoordinatorError */
async function endPasses(client: Asked, given: GivenPasses, now: number): Promise<LeaseView[]> {
  const views: LeaseView[] = [];
  for (const pass of serving(given, now)) views.push(await client.lease(asRunId(given.runId), { pass, end: true }));
  return views;
}

type Measured = NonNullable<LeaseView["measured"]>;

/** What a machine's workers were measured to do, each by its lease; null where nothing was yet. */
interface Figures {
  /** Looks so far: each asks about one more worker, so that one that works speaks for no other. */
  looks: number;
  readonly of: Map<string, Measured | null>;
}

const meanOf = (all: readonly number[]): number | null =>
  all.length === 0 ? null : Math.round(all.reduce((sum, each) => sum + each, 0) / all.length);

/** Of one worker, in the mean: who was never measured trained nothing. Undefined before anybody did. */
function measuredIn({ of }: Figures): Measured | undefined {
  const all = [...of.values()];
  const flops = meanOf(all.map((each) => each?.flops ?? 0));
  if (flops === null || flops < 1) return undefined;
  const linkOf = (way: "up" | "down") => meanOf(all.flatMap((each) => each?.[way] ?? []));
  return { flops, up: linkOf("up"), down: linkOf("down") };
}

/** @param views of those who were asked already at this look */
async function tellMeasured(
  keeper: Keeper,
  label: string,
  {
    client,
    passes,
    views,
    runId,
    figures,
  }: {
    readonly client: Asked;
    readonly passes: readonly SignedPass[];
    readonly views: readonly LeaseView[];
    readonly runId: string;
    readonly figures: Figures;
  },
): Promise<void> {
  const pass = passes[figures.looks++ % Math.max(1, passes.length)];
  if (pass === undefined) return;
  const lease = leaseOfPass(pass);
  const view = views.find((each) => each.lease === lease) ?? (await client.lease(asRunId(runId), { pass }));
  // Who left since did what it did.
  figures.of.set(lease, view.measured ?? figures.of.get(lease) ?? null);
  const measured = figures.of.size < passes.length ? undefined : measuredIn(figures);
  if (measured) await keeper.tell({ type: "measured", label, measured });
}

/** @returns whether the lease is over on both sides, so that its passes can be forgotten */
async function meetOne(
  keeper: Keeper,
  client: Asked,
  given: GivenPasses,
  { label, state }: Lease,
  now: number,
  figures: Figures,
): Promise<boolean> {
  if (!mayJoin(keeper.book(), label)) {
    const views = await endPasses(client, given, now);
    if (state === "gone") return true;
    if (views.some(isAlive)) await keeper.tell({ type: "beat", label });
    if (state === "draining" && views.every(({ member }) => !member)) await keeper.tell({ type: "drained", label });
    return false;
  }
  const views: LeaseView[] = [];
  const passes = serving(given, now);
  for (const pass of passes) {
    views.push(await client.lease(asRunId(given.runId), { pass }));
    // One worker that is at work tells enough; a machine is idle where none of its workers has any.
    if (views.some((view) => isAlive(view) && view.working !== false)) break;
  }
  const alive = views.filter(isAlive);
  const isIdle = alive.every(({ working }) => working === false);
  if (alive.length > 0) await keeper.tell({ type: "beat", label, ...(isIdle ? { idle: true } : {}) });
  await tellMeasured(keeper, label, { client, passes, views, runId: given.runId, figures });
  const report = views.find((view) => view.report !== null)?.report;
  if (report && cannotTrain(report)) await keeper.tell({ type: "unfit", label, words: whyNot(report) });
  return false;
}

/** Ends clusters whose run is over: their workers get nothing to do any more. */
async function endWithRun(keeper: Keeper, client: Asked, runId: string, leases: readonly Lease[]): Promise<void> {
  const waiting = leases.filter((lease) => lease.doomed === null && isOpen(lease));
  if (waiting.length === 0 || (await client.run(asRunId(runId))).phase !== "Finished") return;
  for (const cluster of new Set(waiting.flatMap((lease) => lease.cluster ?? [])))
    await keeper.tell({ type: "stop", cluster, reason: "stopped", words: "Its run is over.", drainMs: 0 });
}

/** Asks, and tells of a coordinator that is away or refuses, and of a pass in another form; what else fails is the keeper's. */
function askingOf(onFault: (sentence: string) => void) {
  return async (about: string, ask: () => Promise<void>): Promise<void> => {
    try {
      await ask();
    } catch (error) {
      if (!(error instanceof CoordinatorError) && !(error instanceof ProtocolError)) throw error;
      onFault(`The coordinator, about ${about}: ${error.message}`);
    }
  };
}

/**
 * One look at all machines that have passes.
 * @param directory of the ledger
 * @param onFault something that could not be asked; it is at the next look
 */
export function createMeeting(
  directory: string,
  onFault: (sentence: string) => void,
  now: () => number = Date.now,
): (keeper: Keeper) => Promise<void> {
  const asking = askingOf(onFault);
  const known = new Map<string, Figures>();
  return async (keeper) => {
    const noted = [...(await notedPasses(directory))];
    const { leases } = keeper.book();
    const limit = pLimit(AT_ONCE);
    await Promise.all(
      noted.map(([label, given]) =>
        limit(() =>
          asking(label, async () => {
            const lease = leases[label];
            const client = createCoordinatorClient(given.coordinator);
            const figures = known.get(label) ?? { looks: 0, of: new Map() };
            known.set(label, figures);
            // Of a machine that was never written down nothing was sent.
            if (lease === undefined) await endPasses(client, given, now());
            else if (!(await meetOne(keeper, client, given, lease, now(), figures))) return;
            forgetPasses(directory, label);
            known.delete(label);
          }),
        ),
      ),
    );
    const runs = Map.groupBy(noted, ([, { coordinator, runId }]) => `${coordinator} ${runId}`);
    for (const each of runs.values()) {
      const [first] = each;
      if (first === undefined) continue;
      const [, { coordinator, runId }] = first;
      const open = each.flatMap(([label]) => keeper.book().leases[label] ?? []);
      await asking(`run ${runId}`, () => endWithRun(keeper, createCoordinatorClient(coordinator), runId, open));
    }
  };
}

/** Ends all passes of a directory's machines: for a watchdog, which has no ledger. */
export async function endAllPasses(
  directory: string,
  onFault: (sentence: string) => void,
  now: number = Date.now(),
): Promise<void> {
  const asking = askingOf(onFault);
  for (const [label, given] of await notedPasses(directory))
    await asking(label, async () => void (await endPasses(createCoordinatorClient(given.coordinator), given, now)));
}
