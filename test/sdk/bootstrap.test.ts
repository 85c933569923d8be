/** A model in bootstrap: what its votes may not do, and what its organiser announces, withdraws and carries out. */
import { afterAll, beforeAll, expect, it } from "vitest";
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { runStatus } from "@cotrain/sdk/protocol";
import { isolated } from "./holders.ts";
import { alice, createWorld, organiser, stranger, type World } from "./world.ts";

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
    await expect(actions.carryOutAct.simulate(act, args)).rejects.toBeInstanceOf(errors.BootstrapTooEarlyError);
    expect((await actions.withdrawAct.sync(act, args)).event).toMatchObject({ call: args.act.data });
    expect(await actions.announcedAct(client, args)).toBeUndefined();

    const again = await actions.announceAct.sync(act, args);
    await world.advanceTo(again.event.readyAt);
    await actions.carryOutAct.sync(act, args);
    expect((await actions.runOf(client, { addresses, runId })).poster).toBe(alice.address);
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
