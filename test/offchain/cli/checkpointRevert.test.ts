/** `cotrain checkpoint revert` on a real node: the organiser announces a rollback, and carries it out a window later. */

import { announcedRollback, headOf, scheduleOf } from "@cotrain/sdk/actions";
import { beforeAll, expect, test } from "vitest";

import { postTexts } from "./postTexts.ts";
import { keepOrganiser } from "./organiser.ts";
import { staged } from "./staged.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const stage = staged(["worker-1"], { young: true });
const { by, pins } = stage;
const at = () => ["--state", stage.state];
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");

beforeAll(async () => {
  await keepOrganiser(stage.keys);
});

const revert = (round: number, ...flags: readonly string[]) =>
  cotrainHere(["checkpoint", "revert", String(round), ...flags]);

interface Shown {
  readonly step: string;
  readonly readyAt: number;
  readonly transaction: string | null;
}
async function shown(round: number, ...flags: readonly string[]): Promise<Shown> {
  const { code, stdout, stderr } = await revert(round, ...flags, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Shown;
}

test("the organiser announces a rollback, and carries it out a window later", async () => {
  const { world, client } = stage;
  const { contracts: addresses, runId, modelId } = world;
  await postTexts(stage, "one", "two", "false");
  await client.setBlockTimestampInterval({ interval: 1 });
  const { window } = await scheduleOf(client, { addresses, modelId });

  const asked = await revert(1, ...at(), ...by("organiser"));
  expect(flat(asked.stdout)).toContain("announces, and can carry out a window later");
  expect(asked.stdout).toContain("Nothing was sent: --yes sends it.");
  expect(await announcedRollback(client, { addresses, runId })).toBeUndefined();
  const coordinator = await tellingCoordinator(world, client);
  const remote = [`--coordinator=${coordinator}`, "--rpc", stage.node.url, "--state", temporaryDirectory()];
  const unpinned = await revert(1, "--yes", ...remote, ...by("organiser"));
  expect(unpinned).toMatchObject({ code: 1, stderr: expect.stringContaining("is the coordinator's word alone") });
  expect((await revert(1, "--yes", ...at(), ...by("worker-1"))).code).toBe(1);

  const announced = await shown(1, "--yes", "--max-fee", "1", ...pins(), ...by("organiser"));
  expect(announced).toMatchObject({ step: "announce", transaction: expect.any(String) });
  const now = Number((await client.getBlock()).timestamp);
  expect(announced.readyAt - now).toBeLessThanOrEqual(window);
  expect(await shown(1, "--yes", ...at(), ...by("organiser"))).toEqual(
    expect.objectContaining({ step: "wait", readyAt: announced.readyAt, transaction: null }),
  );
  // What was announced is bound to its checkpoint.
  expect(await shown(0, ...at(), ...by("organiser"))).toMatchObject({ step: "announce" });

  await client.setNextBlockTimestamp({ timestamp: BigInt(announced.readyAt) });
  await client.mine({ blocks: 1 });
  const done = await shown(1, "--yes", ...at(), ...by("organiser"));
  expect(done).toMatchObject({ step: "carryOut", transaction: expect.any(String) });
  expect(await headOf(client, { addresses, runId })).toMatchObject({ round: 1n, sequence: 4n });
});

test("once another head follows it must be announced anew", async () => {
  await postTexts(stage, "one", "two");
  await stage.client.setBlockTimestampInterval({ interval: 1 });
  expect((await shown(1, "--yes", ...at(), ...by("organiser"))).transaction).not.toBeNull();
  await postTexts(stage, "three");
  expect(await shown(1, ...at(), ...by("organiser"))).toMatchObject({ step: "announce" });
});

test("once bootstrap is over nobody is told that a rollback could be announced", async () => {
  await postTexts(stage, "one", "two");
  await stage.endBootstrap();
  const asked = await revert(1, ...at(), ...by("organiser"));
  expect(asked.code).toBe(1);
  expect(flat(asked.stderr)).toContain("the holders do, and the organiser while the model is in bootstrap");
});
