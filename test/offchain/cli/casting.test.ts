/** Several wallets that vote at once, on a real node: who did not vote is named, with why, beside who did. */
import { modelContractsOf, proposalDeadline } from "@cotrain/sdk/actions";
import { type Address, asAddress } from "@cotrain/sdk/protocol";
import { createWalletClient, custom, publicActions } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";

import { shortAddress, timeText } from "../../../offchain/src/base/index.ts";
import { connect } from "../../../offchain/src/chain/index.ts";
import { castAll } from "../../../offchain/src/cli/casting.ts";
import type { Voter } from "../../../offchain/src/cli/voting.ts";
import { pass } from "../chain/settle.ts";
import { type Holders, openHolders } from "./holders.ts";
import { cotrainHere } from "./support.ts";

/** Seconds, all far beyond what the votes take on any machine. */
const settings = { votingDelay: 36_000, votingPeriod: 72_000, timelockDelay: 36_000 };

let holders: Holders;
let governor: Address;
let place: Parameters<typeof castAll>[0];
beforeAll(async () => {
  holders = await openHolders(settings);
  const { client, world, shares } = holders;
  const contracts = await modelContractsOf(client, { addresses: world.contracts, modelId: world.modelId });
  governor = asAddress(contracts.governor);
  const connection = await connect({ rpcUrl: world.url, chainId: world.chainId });
  place = { connection, governor, contracts: { ...contracts, shares }, fromBlock: 0 };
  await pass(world, 2);
}, 120_000);
afterAll(() => holders.close());

/** @param before what is done between the voter's look at the chain and its transaction */
async function voter(name: string, before: () => Promise<unknown> = async () => undefined): Promise<Voter> {
  const account = holders.wallets[name]!;
  await holders.client.impersonateAccount({ address: account });
  const transport = custom({
    async request({ method, params }: { method: string; params: unknown }) {
      if (method === "eth_sendTransaction") await before();
      return holders.client.request({ method, params } as never);
    },
  });
  const client = createWalletClient({ account, transport, pollingInterval: 20 }).extend(publicActions);
  return { name, account, client: client as unknown as Voter["client"] };
}

/** Something that is voted on. @returns its id */
async function votedOn(innerSteps: number): Promise<bigint> {
  const words = ["propose", `innerSteps=${innerSteps}`, "--state", holders.state];
  const { code, stdout } = await cotrainHere([...words, "--json"]);
  expect(code).toBe(0);
  await pass(holders.world, settings.votingDelay + 60);
  return BigInt((JSON.parse(stdout) as { proposal: { proposalId: string } }).proposal.proposalId);
}

const who = (name: string): string => `${name} ${shortAddress(holders.wallets[name]!)}`;

test("a vote that ends while wallets are voting names who voted, who did not, and when it ended", async () => {
  const proposalId = await votedOn(12);
  const deadline = await proposalDeadline(holders.client, { governor, proposalId });
  const first = Promise.withResolvers<void>();
  const late = await voter("worker-2", async () => {
    await first.promise;
    await holders.client.setNextBlockTimestamp({ timestamp: deadline + 1n });
  });
  const seen: string[] = [];
  const casting = castAll(place, [await voter("worker-1"), late], { proposalId, support: "for" }, ({ name }) => {
    seen.push(name);
    first.resolve();
  });
  await expect(casting).rejects.toMatchObject({
    code: "VOTE_LATE",
    retryable: false,
    message: expect.stringMatching(/^worker-2 0x\S+ \(transaction 0x\w{64} reverted\) did not vote on proposal \d+, /),
  });
  await expect(casting).rejects.toThrow(
    `did not vote on proposal ${proposalId}, which is over: its vote ended ${timeText(Number(deadline))}; ${who("worker-1")} voted.`,
  );
  expect(seen).toEqual(["worker-1"]);
});

test("a vote that only the next block ends is over: the newest one still has it active", async () => {
  const proposalId = await votedOn(20);
  const deadline = await proposalDeadline(holders.client, { governor, proposalId });
  // Gas is estimated in a block that is not mined yet.
  await holders.client.setNextBlockTimestamp({ timestamp: deadline + 1n });
  await expect(castAll(place, [await voter("worker-1")], { proposalId, support: "for" })).rejects.toThrow(
    `${who("worker-1")} did not vote on proposal ${proposalId}, which is over: its vote ended ${timeText(Number(deadline))}; nobody here voted.`,
  );
});

test("one wallet that cannot vote keeps no other from it, and is named with why", async () => {
  const proposalId = await votedOn(16);
  const [one, two] = [await voter("worker-1"), await voter("worker-2")];
  expect(await castAll(place, [one], { proposalId, support: "for" })).toMatchObject([{ name: "worker-1" }]);
  await expect(castAll(place, [one, two], { proposalId, support: "for" })).rejects.toMatchObject({
    code: "VOTES_MISSING",
    message: expect.stringMatching(
      new RegExp(
        `^Not all wallets here voted on proposal ${proposalId}\\. ${who("worker-1")} did not: .*; ${who("worker-2")} voted\\.$`,
      ),
    ),
  });
});
