/** What a young model's holders may not decide, and how its organiser does it: announced, and a window later carried out. On a real node. */
import { join } from "node:path";

import {
  bootstrapOf,
  bootstrapTerms,
  epochEnd,
  isSuspended,
  modelContractsOf,
  newestSetVersion,
  runOf,
  scheduleOf,
  setStatus,
  validatorUntil,
} from "@cotrain/sdk/actions";
import { asAddress, runStatus } from "@cotrain/sdk/protocol";
import { beforeAll, describe, expect, test } from "vitest";

import { formatAddress } from "../../../offchain/src/base/index.ts";
import { connect } from "../../../offchain/src/chain/index.ts";
import { createActsWatch } from "../../../offchain/src/run/index.ts";
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
const another = `0x${"b7".repeat(20)}`;

/** Words of an act that names a poster. */
const lets = (poster: string): string => `RunRegistry lets ${formatAddress(asAddress(poster))} alone post the heads`;

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

interface Act {
  readonly name: string;
  readonly words: string;
  readonly readyAt: number;
  readonly expiresAt: number;
}
interface Told {
  readonly over: boolean;
  readonly claimed: string;
  readonly acts: readonly Act[];
  readonly withdrawn: { readonly name: string; readonly transaction: string } | null;
}
/** What everybody is told of the model's bootstrap. */
async function told(...line: readonly string[]): Promise<Told> {
  const { code, stdout } = await cotrainHere(["bootstrap", "--json", ...line]);
  expect(code).toBe(0);
  return JSON.parse(stdout) as Told;
}

describe("in bootstrap", () => {
  test("it is told how much of it is over", async () => {
    const { contracts: addresses, modelId } = stage.world;
    const { start, epochLength } = await scheduleOf(stage.client, { addresses, modelId });
    await atTime(start + 3 * epochLength);
    const organiser = expect.stringMatching(/^0x/) as string;
    expect(await told(...at())).toMatchObject({ over: false, organiser, claimed: "0", epochsOver: 3 });
    const lines = flat((await cotrainHere(["bootstrap", ...at()])).stdout);
    expect(lines).toMatch(
      /votes set .* and judge disputes; .* The organiser 0x\w{40} may rule on a disputed root .* It may not void a root, mint, spend,/,
    );
    expect(lines).toMatch(
      /Workers have claimed 0\.00 of the [\d,.]+ shares that end it, and 3 epochs are over, where it takes \d+\. After/,
    );
  });

  test.each(["verify", "status"])(
    "%s says who organises the model, and until when that could take what is emitted",
    async (command) => {
      const { contracts: addresses, modelId } = stage.world;
      const { start, epochLength } = await scheduleOf(stage.client, { addresses, modelId });
      const terms = { bootstrap: await bootstrapOf(stage.client, { addresses }), modelId };
      const { epochs, maxEpochs } = await bootstrapTerms(stage.client, terms);
      const { stdout } = await cotrainHere([command, ...at(), "--json"]);
      const { bootstrap } = JSON.parse(stdout) as { readonly bootstrap: { readonly organiser: string } };
      expect(bootstrap).toMatchObject({ claimed: "0", epochs, latest: start + maxEpochs * epochLength });
      expect(maxEpochs).toBeGreaterThan(epochs);
      expect(flat((await cotrainHere([command, ...at()])).stdout)).toMatch(
        /The model is in bootstrap: its organiser 0x\w{40} may replace a third .* take all that is emitted, until workers have claimed/,
      );
    },
  );

  test("what holders may not decide is refused in a sentence before anything is sent; parameters are not", async () => {
    const refused = await cotrainHere(["poster", "propose", other, "--dry-run", ...at()]);
    expect(refused.code).toBe(1);
    expect(flat(refused.stderr)).toContain(
      `The model is in bootstrap, where votes set a run's parameters, pause and resume it, and nothing else; "npx cotrain bootstrap" says when that is over. Until then this cannot be proposed: RunRegistry lets ${formatAddress(asAddress(other))} alone post the heads of this run.`,
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
    expect(lines).toMatch(
      /The model is in bootstrap\. Workers have claimed 0\.00 of the .* shares that end it, and \d+ epochs are over, where it takes \d+\./,
    );
    expect(lines).toMatch(
      /announced in 0x[0-9a-f]{64}, to be carried out from .* to .*, and not once bootstrap is over: /,
    );
    // Bound to what was announced, beside which no other of its kind is.
    const beside = await cotrainHere(["poster", "propose", another, "--announce", "--dry-run", ...at()]);
    expect(flat(beside.stderr)).toContain("The organiser has announced an act of this kind, 0x");
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

  test("the organiser takes an act back by the name that it is told by, and announces another", async () => {
    await stage.client.setBlockTimestampInterval({ interval: 1 });
    await done("poster", "propose", other, ...by("organiser"));
    const name = (await told(...at())).acts[0]!.name;
    expect(flat((await cotrainHere(["bootstrap", ...at()])).stdout)).toContain(`Act ${name}, announced in 0x`);
    const unknown = await cotrainHere(["bootstrap", "--withdraw", `0x${"00".repeat(32)}`, ...at(), ...by("organiser")]);
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("is announced:") });
    const stranger = await cotrainHere(["bootstrap", "--withdraw", name, ...at(), ...by("worker-1")]);
    expect(flat(stranger.stderr)).toContain("is not the organiser of model");
    const { acts, withdrawn } = await told("--withdraw", name, "--max-fee", "0.5", ...at(), ...by("organiser"));
    expect({ acts, withdrawn }).toEqual({ acts: [], withdrawn: { name, transaction: expect.any(String) } });
    expect(await done("poster", "propose", another, ...by("organiser"))).toMatchObject({ step: "announce" });
  });

  test("the organiser has a run go on that holders paused, and ends it", async () => {
    const { contracts: addresses, runId } = stage.world;
    await stage.client.setBlockTimestampInterval({ interval: 1 });
    const statusOf = async () => (await runOf(stage.client, { addresses, runId })).status;
    // Holders may pause, and not end; the organiser the other way round.
    expect((await cotrainHere(["run", "propose", "pause", "--dry-run", ...at()])).code).toBe(0);
    const ending = await cotrainHere(["run", "propose", "end", "--dry-run", ...at()]);
    expect(flat(ending.stderr)).toContain("The model is in bootstrap, where votes set a run's parameters");
    const pausing = await cotrainHere(["run", "propose", "pause", "--announce", "--dry-run", ...at()]);
    expect(flat(pausing.stderr)).toContain("An organiser does not call 0x");
    expect((await cotrainHere(["run", "propose", "resume", "--dry-run", ...at()])).stderr).toContain("is in force");
    const odd = await cotrainHere(["run", "propose", "stop", "--dry-run", ...at()]);
    expect(flat(odd.stderr)).toContain('A run is told to pause, resume or end, not to "stop".');
    await stage.asHolders((account) =>
      setStatus.sync(stage.client, { addresses, runId, status: runStatus.paused, account, pollingInterval: 20 }),
    );
    const verbs = { resume: runStatus.open, end: runStatus.finished };
    for (const [verb, status] of Object.entries(verbs)) {
      const { readyAt } = await done("run", "propose", verb, ...by("organiser"));
      await atTime(readyAt!);
      expect(await done("run", "propose", verb, ...by("organiser"))).toMatchObject({ step: "carryOut" });
      expect(await statusOf()).toBe(status);
    }
  });

  test("the organiser suspends the poster at once, and nobody else does", async () => {
    const { contracts: addresses, runId } = stage.world;
    const line = ["poster", "suspend", ...at()];
    const shown = await cotrainHere(line);
    expect(flat(shown.stdout)).toMatch(/^Nothing was sent: --yes suspends 0x.* for the head 0x.* of checkpoint \d+\./);
    const stranger = await cotrainHere([...line, "--yes", ...by("worker-1")]);
    expect(flat(stranger.stderr)).toContain("may not suspend the poster of run");
    const unknown = await cotrainHere([...line, "--head", `0x${"0a".repeat(32)}`, "--yes", ...by("organiser")]);
    expect(flat(unknown.stderr)).toContain("has no head 0x0a0a");
    expect(await isSuspended(stage.client, { addresses, runId })).toBe(false);
    const sent = await cotrainHere([...line, "--yes", "--max-fee", "0.5", "--json", ...by("organiser")]);
    expect(JSON.parse(sent.stdout)).toMatchObject({ suspended: true, transaction: expect.any(String) });
    expect(await isSuspended(stage.client, { addresses, runId })).toBe(true);
    const again = await cotrainHere([...line, "--yes", ...by("organiser")]);
    expect(flat(again.stdout)).toContain("is suspended as the poster already.");
    const listed = await cotrainHere(["disputes", "list", ...at()]);
    expect(flat(listed.stdout)).toContain("The organiser, in bootstrap, suspended 0x");
    const coordinator = await tellingCoordinator(stage.world, stage.client);
    const remote = [`--coordinator=${coordinator}`, "--rpc", stage.node.url, "--state", temporaryDirectory()];
    const pinned = await cotrainHere(["poster", "suspend", ...remote.slice(1), ...stage.pins().slice(2, 6)]);
    expect(flat(pinned.stdout)).toContain("is suspended as the poster already.");
    expect(flat((await cotrainHere(["poster", "suspend", ...remote])).stdout)).toContain("already.");
  });

  test("once it is over nobody is told that the poster could be suspended at once", async () => {
    await stage.endBootstrap();
    const asked = await cotrainHere(["poster", "suspend", ...at()]);
    expect(asked).toMatchObject({ code: 1, stdout: "" });
    expect(flat(asked.stderr)).toContain("and the organiser while the model is in bootstrap");
  });

  test("a watcher tells what was announced, withdrawn and carried out, in words", async () => {
    await stage.client.setBlockTimestampInterval({ interval: 1 });
    await done("poster", "propose", other, ...by("organiser"));
    const name = (await told(...at())).acts[0]!.name;
    await told("--withdraw", name, ...at(), ...by("organiser"));
    const line = ["poster", "propose", another, ...by("organiser")];
    const { readyAt } = await done(...line);
    await atTime(readyAt!);
    await done(...line);
    const { stdout } = await cotrainHere(["watch", "--once", ...at()]);
    expect(flat(stdout)).toMatch(
      /The organiser has announced, to be carried out from .* on and not once bootstrap is over/,
    );
    const said = flat(stdout);
    const places = [
      said.indexOf(`on and not once bootstrap is over: ${lets(other)}`),
      said.indexOf(`The organiser has withdrawn what it had announced: ${lets(other)}`),
      said.indexOf(`on and not once bootstrap is over: ${lets(another)}`),
      said.indexOf(`The organiser has carried out what it had announced: ${lets(another)}`),
    ];
    expect(places.toSorted((a, b) => a - b)).toEqual(places);
    expect(places[0]).toBeGreaterThan(-1);
    const seen = JSON.parse((await cotrainHere(["watch", "--once", "--json", ...at()])).stdout) as {
      readonly acts: readonly { readonly what: string; readonly readyAt: number | null }[];
    };
    expect(seen.acts.map(({ what }) => what)).toEqual(["announced", "withdrawn", "announced", "carriedOut"]);
    expect(seen.acts[2]?.readyAt).toBe(readyAt);

    // Who looks again is told what has come since.
    const { contracts: addresses, chainId, modelId, runId } = stage.world;
    const contracts = await modelContractsOf(stage.client, { addresses, modelId });
    const connection = await connect({ rpcUrl: stage.node.url, chainId });
    const acts = createActsWatch({ connection, addresses, contracts, modelId, runId, fromBlock: 0 });
    expect((await acts.look()).acts).toHaveLength(4);
    expect(await acts.look()).toEqual({ acts: [], more: 0 });
    await done("poster", "propose", other, ...by("organiser"));
    // What comes is not hidden by what is announced after it and taken back.
    await done("maintainers", "propose", "--add", other, ...by("organiser"));
    const taken = (await told(...at())).acts.find(({ words }) => words.includes("maintainers"))!;
    await told("--withdraw", taken.name, ...at(), ...by("organiser"));
    const few = createActsWatch({ connection, addresses, contracts, modelId, runId, fromBlock: 0 }, 1);
    expect(await few.look()).toMatchObject({
      acts: [
        { what: "announced", words: expect.stringContaining(lets(other)) },
        { what: "withdrawn", name: taken.name },
      ],
      more: 5,
    });
    expect((await acts.look()).acts).toMatchObject([
      { what: "announced" },
      { what: "announced", name: taken.name },
      { what: "withdrawn", name: taken.name },
    ]);
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

  test("anybody ends it once that is due, and nobody before", async () => {
    const { contracts: addresses, modelId } = stage.world;
    await stage.client.setBlockTimestampInterval({ interval: 1 });
    const line = ["bootstrap", "--end", "--max-fee", "0.5"];
    const early = await cotrainHere([...line, ...at(), ...by("worker-1")]);
    expect(early.code).not.toBe(0);
    expect(flat(early.stderr)).toMatch(/Workers have claimed .* epochs are over: bootstrap goes on, until/);
    const both = await cotrainHere([...line, "--withdraw", `0x${"00".repeat(32)}`, ...at(), ...by("worker-1")]);
    expect(flat(both.stderr)).toContain("--end ends bootstrap, and --withdraw takes an act back: one at a time.");
    const bootstrap = await bootstrapOf(stage.client, { addresses });
    const { maxEpochs } = await bootstrapTerms(stage.client, { bootstrap, modelId });
    await atTime(await epochEnd(stage.client, { addresses, modelId, epoch: BigInt(maxEpochs) }));
    const coordinator = await tellingCoordinator(stage.world, stage.client);
    const remote = [`--coordinator=${coordinator}`, "--rpc", stage.node.url, "--state", temporaryDirectory()];
    const unpinned = await cotrainHere([...line, ...remote, ...by("worker-1")]);
    expect(unpinned).toMatchObject({ code: 1, stderr: expect.stringContaining("the coordinator's word alone") });
    expect(flat((await cotrainHere(["bootstrap", ...at()])).stdout)).toContain("or when anybody ends it (--end).");
    const ended = await cotrainHere([...line, ...at(), ...by("worker-1")]);
    expect(flat(ended.stdout)).toMatch(/^Bootstrap was ended in 0x\w{64}\. Bootstrap ended at/);
    expect(await told("--end", ...at(), ...by("worker-1"))).toMatchObject({ over: true, ended: null });
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
