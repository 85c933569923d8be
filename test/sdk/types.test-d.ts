/** What the SDK's types promise; `tsc` holds them (npm run check), nothing of this file runs. */
import type * as actions from "@cotrain/sdk/actions";
import type { Digest, HeadHash, ModelId, RunId, RunParams, WireRunParams } from "@cotrain/sdk/protocol";
import type { Address, Client, Hex } from "viem";
import { expectTypeOf, test } from "vitest";

type Args<Action extends (client: Client, args: never) => unknown> = Parameters<Action>[1];
type Answer<Action extends (client: Client, args: never) => unknown> = Awaited<ReturnType<Action>>;

test("parameters are numbers, what is wider than 32 bits a bigint, and text on the wire", () => {
  expectTypeOf<RunParams["innerSteps"]>().toEqualTypeOf<number>();
  expectTypeOf<RunParams["codec"]>().toEqualTypeOf<number>();
  expectTypeOf<RunParams["minStake"]>().toEqualTypeOf<bigint>();
  expectTypeOf<WireRunParams["minStake"]>().toEqualTypeOf<string>();
  expectTypeOf<WireRunParams["innerSteps"]>().toEqualTypeOf<number>();
  expectTypeOf<keyof WireRunParams>().toEqualTypeOf<keyof RunParams>();
});

test("reads take addresses where they ask a singleton, and a block", () => {
  expectTypeOf<{ runId: Hex; version: number }>().toExtend<Args<typeof actions.paramsOf>>();
  expectTypeOf<{ runId: Hex; version: number; blockNumber: bigint }>().toExtend<Args<typeof actions.paramsOf>>();
  expectTypeOf<{ runId: Hex }>().not.toExtend<Args<typeof actions.paramsOf>>();
  expectTypeOf<{ runId: Hex; version: string }>().not.toExtend<Args<typeof actions.paramsOf>>();
  expectTypeOf<{ shares: Address; account: Address }>().toExtend<Args<typeof actions.balanceOf>>();
  expectTypeOf<{ account: Address }>().not.toExtend<Args<typeof actions.balanceOf>>();
});

test("reads answer the protocol's own types, or what the contract returns", () => {
  expectTypeOf<Answer<typeof actions.paramsOf>>().toEqualTypeOf<RunParams>();
  expectTypeOf<Answer<typeof actions.boundsOf>["min"]>().toEqualTypeOf<RunParams>();
  expectTypeOf<Answer<typeof actions.openRunOf>>().toEqualTypeOf<RunId>();
  expectTypeOf<Answer<typeof actions.runOf>["modelId"]>().toEqualTypeOf<ModelId>();
  expectTypeOf<Answer<typeof actions.runOf>["definition"]>().toEqualTypeOf<Digest>();
  expectTypeOf<Answer<typeof actions.headOf>["head"]>().toEqualTypeOf<HeadHash>();
  expectTypeOf<Answer<typeof actions.epochOf>>().toEqualTypeOf<bigint>();
  expectTypeOf<Answer<typeof actions.versionAt>>().toEqualTypeOf<number>();
  expectTypeOf<Answer<typeof actions.isAdmitted>>().toEqualTypeOf<boolean>();
  expectTypeOf<Answer<typeof actions.sharesOf>>().toEqualTypeOf<Address>();
  expectTypeOf<Answer<typeof actions.activeRoot>>().toEqualTypeOf<actions.ActiveRoot | undefined>();
  expectTypeOf<Answer<typeof actions.proposalState>>().toEqualTypeOf<actions.ProposalState>();
  expectTypeOf<Answer<typeof actions.countSigners>>().toEqualTypeOf<{ count: number; size: number }>();
});

test("a client with the actions has each read without the client, and each write with all of its life", () => {
  expectTypeOf<ReturnType<actions.CotrainActions["paramsOf"]>>().toEqualTypeOf<Promise<RunParams>>();
  expectTypeOf<Parameters<actions.CotrainActions["balanceOf"]>[0]>().toEqualTypeOf<Args<typeof actions.balanceOf>>();
  expectTypeOf<actions.CotrainActions["setParams"]>().toHaveProperty("simulate");
  expectTypeOf<Parameters<actions.CotrainActions["setParams"]["sync"]>[0]["params"]>().toEqualTypeOf<RunParams>();
});

test("writes return the protocol's ids and events their arguments", () => {
  type Simulated = Awaited<ReturnType<typeof actions.createModel.simulate>>["result"];
  expectTypeOf<Simulated>().toEqualTypeOf<ModelId>();
  type Event = Awaited<ReturnType<typeof actions.registerRun.sync>>["event"];
  expectTypeOf<Event["fragments"]>().toEqualTypeOf<number>();
});
