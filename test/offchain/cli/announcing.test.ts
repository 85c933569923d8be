/** What a young model's holders may not decide, and how its organiser does it: announced, and a window later carried out. On a real node. */
import { join } from "node:path";

import { newestSetVersion, runOf, scheduleOf, validatorUntil } from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";
import { beforeAll, describe, expect, test } from "vitest";

import { formatAddress } from "../../../offchain/src/base/index.ts";
import { poster, validators } from "../chain/world.ts";
import { keepOrganiser } from "./organiser.ts";
import { staged } from "./staged.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const stage = staged(["worker-1"], { young: true });
const { by } = stage;
const at = () => ["--state", stage.state];
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
const other = `0x${"a9".repeat(20)}`;

beforeAll(async () => {
  await keepOrganiser(stage.keys);
});

interface Done {
  readonly step: string;
  readonly readyAt: number | null;
  readonly transaction: string | null;
}
async function done(...line: readonly string[]): Promise<Done> {
  const { code, stdout, stderr } = await cotrainHere([...line, "--announce", ...at(), "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Done;
}

/** The chain's clock is at a time. */
async function atTime(timestamp: number): Promise<void> {
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(timestamp) });
  await stage.client.mine({ blocks: 1 });
}

interface Told {
  readonly over: boolean;
  readonly claimed: string;
  readonly acts: readonly { readonly words: string; readonly readyAt: number; readonly expiresAt: number }[];
}
/** What everybody is told of the model's bootstrap. */
async function told(...line: readonly string[]): Promise<Told> {
  const { code, stdout } = await cotrainHere(["bootstrap", "--json", ...line]);
  expect(code).toBe(0);
  return JSON.parse(stdout) as Told;
}

describe("in bootstrap", () => {
  test("what holders may not decide is refused in a sentence before anything is sent; parameters are not", async () => {
    const refused = await cotrainHere(["poster", "propose", other, "--dry-run", ...at()]);
    expect(refused.code).toBe(1);
    expect(flat(refused.stderr)).toContain(
      "The model is in bootstrap, where votes set a run's parameters, pause and resume it, and nothing else",
    );
    expect((await cotrainHere(["propose", "innerSteps=96", "--dry-run", ...at()])).code).toBe(0);
  });

  test("the organiser names another poster, one window after it said so", async () => {
    const { contracts: addresses, runId, modelId } = stage.world;
    await stage.client.setBlockTimestampInterval({ interval: 1 });
    const line = ["poster", "propose", other];
    const asked = await cotrainHere([...line, "--announce", "--dry-run", ...at()]);
    expect(flat(asked.stdout)).toMatch(/^The organiser announces, .* this: poster: 0x.* Nothing was sent\.\s*$/);
    const announced = await done(...line, ...by("organiser"));
    expect(announced).toMatchObject({ step: "announce", transaction: expect.any(String) });
    const { window } = await scheduleOf(stage.client, { addresses, modelId });
    expect(announced.readyAt! - Number((await stage.client.getBlock()).timestamp)).toBeLessThanOrEqual(window);
    expect(await done(...line, ...by("organiser"))).toMatchObject({ step: "wait", transaction: null });
    const act = { words: expect.stringContaining(formatAddress(asAddress(other))), readyAt: announced.readyAt };
    expect(await told(...at())).toMatchObject({ over: false, claimed: "0", acts: [act] });
    const lines = flat((await cotrainHere(["bootstrap", "--last", "1", ...at()])).stdout);
    expect(lines).toContain("The model is in bootstrap. Workers have claimed 0.00 of ");
    expect(lines).toMatch(
      /Announced in 0x[0-9a-f]{64}, to be carried out from .* to .*, and not once bootstrap is over: /,
    );
    // Bound to what was announced.
    expect(await done("poster", "propose", `0x${"b7".repeat(20)}`, "--dry-run")).toMatchObject({ step: "announce" });
    await atTime(announced.readyAt!);
    expect(await done(...line, ...by("organiser"))).toMatchObject({ step: "carryOut", readyAt: announced.readyAt });
    expect((await told(...at())).acts).toEqual([]);
    expect(asAddress((await runOf(stage.client, { addresses, runId })).poster)).toBe(other);
  });

  test("what nobody carried out in time is announced anew", async () => {
    await stage.client.setBlockTimestampInterval({ interval: 1 });
    const line = ["poster", "propose", other, ...by("organiser")];
    const { readyAt } = await done(...line);
    await atTime(readyAt! + 21 * 86_400 + 1);
    expect((await told(...at())).acts).toEqual([]);
    expect(await done(...line)).toMatchObject({ step: "announce", transaction: expect.any(String) });
    // Of the same act the last announcement counts.
    expect((await told(...at())).acts).toHaveLength(1);
  });

  test("the organiser takes a validator out whose keys are lost", async () => {
    const { contracts: addresses, modelId } = stage.world;
    await stage.client.setBlockTimestampInterval({ interval: 1 });
    const line = ["validators", "propose", "--remove", validators[0]!.address, "--threshold", "2", ...by("organiser")];
    const { readyAt } = await done(...line);
    await atTime(readyAt!);
    expect(await done(...line)).toMatchObject({ step: "carryOut", transaction: expect.any(String) });
    expect(await newestSetVersion(stage.client, { addresses, modelId })).toBe(2);
    const left = await validatorUntil(stage.client, { addresses, modelId, account: validators[0]!.address });
    expect(left).toBeLessThan(Number.POSITIVE_INFINITY);
  });

  test("the organiser chooses the first maintainers", async () => {
    await stage.client.setBlockTimestampInterval({ interval: 1 });
    const line = ["maintainers", "propose", "--add", other, ...by("organiser")];
    const { readyAt } = await done(...line);
    await atTime(readyAt!);
    expect(await done(...line)).toMatchObject({ step: "carryOut", transaction: expect.any(String) });
  });

  test("nobody else announces, nor on a coordinator's word, and nobody votes on it", async () => {
    await stage.client.setBlockTimestampInterval({ interval: 1 });
    const line = ["poster", "propose", other, "--announce"];
    const stranger = await cotrainHere([...line, ...at(), ...by("worker-1")]);
    expect(stranger.code).toBe(1);
    expect(flat(stranger.stderr)).toContain("is not the organiser of model");
    const coordinator = await tellingCoordinator(stage.world, stage.client);
    const remote = [`--coordinator=${coordinator}`, "--rpc", stage.node.url, "--state", temporaryDirectory()];
    const unpinned = await cotrainHere([...line, ...remote, ...by("organiser")]);
    expect(unpinned).toMatchObject({ code: 1, stderr: expect.stringContaining("the coordinator's word alone") });
    const pins = ["--run", stage.world.runId, "--deployment", join(stage.state, "deployment.json")];
    expect(await told(...remote, ...pins)).toMatchObject({ over: false });
    const voted = await cotrainHere([...line, "--vote", ...at(), ...by("organiser")]);
    expect(flat(voted.stderr)).toContain("Nobody votes on what an organiser announces");
    const { contracts: addresses, runId } = stage.world;
    expect((await runOf(stage.client, { addresses, runId })).poster).toBe(poster.address);
  });
});
