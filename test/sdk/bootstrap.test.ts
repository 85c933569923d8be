/** A model in bootstrap: what its votes may not do, and what its organiser announces, withdraws and carries out. */
import { afterAll, beforeAll, expect, it } from "vitest";
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { runStatus } from "@cotrain/sdk/protocol";
import { numberToHex } from "viem";
import { isolated } from "./holders.ts";
import { alice, createWorld, organiser, poster, stranger, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({}, true);
});
afterAll(() => world.close());

const asked = async () => {
  const { addresses, client, modelId, runId } = world;
  const bootstrap = await actions.bootstrapOf(client, { addresses });
  return { bootstrap, modelId, act: actions.setPoster.call({ addresses, runId, poster: alice.address }) };
};

it("votes may set parameters, pause and resume, and are refused all else in words", async () => {
  const { addresses, client, governor, runId, createdFrom } = world;
  const { bootstrap, act } = await asked();
  const hold = (calls: readonly actions.Call[]) =>
    actions.requireVotable.simulate(client, { bootstrap, calls, account: governor });
  const pause = actions.setStatus.call({ addresses, runId, status: runStatus.paused });
  await hold([pause]);
  await expect(hold([pause, act])).rejects.toBeInstanceOf(errors.BootstrapVoteRefusedError);
  await expect(hold([pause, act])).rejects.toThrow(/^The model is in bootstrap, .*: call 1, 0x[0-9a-f]{8} of 0x/);
  expect((await actions.bootstrapTerms(client, { bootstrap, modelId: world.modelId })).epochs).toBe(
    createdFrom.bootstrapEpochs,
  );
});

it("the organiser does one window later what it announced, unless it takes that back", async () => {
  await isolated(world, async () => {
    const { addresses, client, clientOf, runId, modelId } = world;
    const args = await asked();
    const act = clientOf(organiser);
    await expect(actions.carryOutAct.simulate(act, args)).rejects.toBeInstanceOf(errors.BootstrapNotAnnouncedError);
    await expect(actions.announceAct.simulate(clientOf(stranger), args)).rejects.toBeInstanceOf(
      errors.BootstrapNotOrganiserError,
    );
    const refused = { ...args, act: actions.setStatus.call({ addresses, runId, status: runStatus.paused }) };
    await expect(actions.announceAct.simulate(act, refused)).rejects.toBeInstanceOf(errors.BootstrapActRefusedError);

    const { event } = await actions.announceAct.sync(act, args);
    expect(event).toMatchObject({ modelId, call: args.act.data });
    expect(await actions.announcedAct(client, args)).toBe(event.readyAt);
    const { logs } = await actions.getAllLogs(client, actions.actAnnounced(args), { from: 0n });
    expect(logs.map((log) => log.args.readyAt)).toEqual([event.readyAt]);
    const other = { ...args, act: actions.setPoster.call({ addresses, runId, poster: stranger.address }) };
    expect(await actions.standingAct(client, other)).toBe(actions.actNameOf(args));
    await expect(actions.announceAct.simulate(act, other)).rejects.toBeInstanceOf(errors.BootstrapActStandsError);
    await expect(actions.carryOutAct.simulate(act, args)).rejects.toBeInstanceOf(errors.BootstrapTooEarlyError);
    expect((await actions.withdrawAct.sync(act, args)).event).toMatchObject({ call: args.act.data });
    expect(await actions.announcedAct(client, args)).toBeUndefined();
    expect(await actions.standingAct(client, other)).toBeUndefined();
    const since = { from: 0n };
    const withdrawn = await actions.getAllLogs(client, actions.actWithdrawn(args), since);
    expect(withdrawn.logs.map((log) => log.args.call)).toEqual([args.act.data]);

    const again = await actions.announceAct.sync(act, args);
    await world.advanceTo(again.event.readyAt);
    await actions.carryOutAct.sync(act, args);
    expect((await actions.runOf(client, { addresses, runId })).poster).toBe(alice.address);
    const done = await actions.getAllLogs(client, actions.actCarriedOut(args), since);
    expect(done.logs.map((log) => log.args.call)).toEqual([args.act.data]);
  });
});

it("the organiser has a paused run go on, one window after it said so", async () => {
  await isolated(world, async () => {
    const { addresses, client, clientOf, modelId, runId } = world;
    const { bootstrap } = await asked();
    const args = { bootstrap, modelId, act: actions.setStatus.call({ addresses, runId, status: runStatus.open }) };
    const act = clientOf(organiser);
    await expect(actions.announceAct.simulate(act, args)).rejects.toBeInstanceOf(errors.BootstrapActRefusedError);
    const { to, data } = actions.setStatus.call({ addresses, runId, status: runStatus.paused });
    const rpc = (method: string, ...params: unknown[]) => world.request({ method, params } as never);
    await rpc("hardhat_setBalance", world.timelock, numberToHex(10n ** 18n));
    await rpc("hardhat_impersonateAccount", world.timelock);
    await rpc("eth_sendTransaction", { from: world.timelock, to, data });
    const { event } = await actions.announceAct.sync(act, args);
    await world.advanceTo(event.readyAt);
    await actions.carryOutAct.sync(act, args);
    expect((await actions.runOf(client, { addresses, runId })).status).toBe(runStatus.open);
  });
});

it("the organiser suspends a poster at once, in bootstrap and no longer", async () => {
  await isolated(world, async () => {
    const { addresses, client, clientOf, runId } = world;
    const { head } = await actions.headOf(client, { addresses, runId });
    const args = { addresses, runId, poster: poster.address, head };
    const suspend = actions.suspendAsOrganiser;
    await expect(suspend.simulate(clientOf(stranger), args)).rejects.toBeInstanceOf(
      errors.CheckpointRegistryMayNotSuspendError,
    );
    const { event } = await suspend.sync(clientOf(organiser), args);
    expect(event).toEqual({ runId, poster: poster.address, head, setVersion: 0 });
    expect(await actions.isSuspended(client, { addresses, runId })).toBe(true);
    expect((await suspend.sync(clientOf(organiser), args)).event).toBeUndefined();
    const { bootstrapMaxEpochs, epochLength } = world.createdFrom;
    await world.advanceTo((await world.now()) + bootstrapMaxEpochs * epochLength);
    await expect(suspend.simulate(clientOf(organiser), args)).rejects.toBeInstanceOf(
      errors.CheckpointRegistryMayNotSuspendError,
    );
  });
});

it("nothing of it is left once bootstrap is over", async () => {
  await isolated(world, async () => {
    const args = await asked();
    const { event } = await actions.announceAct.sync(world.clientOf(organiser), args);
    const { bootstrapMaxEpochs, epochLength } = world.createdFrom;
    await world.advanceTo(event.readyAt + bootstrapMaxEpochs * epochLength);
    await expect(actions.carryOutAct.simulate(world.clientOf(organiser), args)).rejects.toBeInstanceOf(
      errors.BootstrapOverError,
    );
  });
});
