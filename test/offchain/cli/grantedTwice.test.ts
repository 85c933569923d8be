/** A vote on a grant for a commit that is granted while holders vote: who reads it, votes on it and carries it out is told, before it pays twice. */
import { join } from "node:path";

import { setMaintainers, timelockOf } from "@cotrain/sdk/actions";
import { afterAll, beforeAll, expect, test } from "vitest";

import { formatAddress } from "../../../offchain/src/base/index.ts";
import { pass } from "../chain/settle.ts";
import { accountOf } from "../chain/world.ts";
import { type Holders, openHolders } from "./holders.ts";
import { execute, type ShownCall, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

/** So long a vote that no slow machine sees its end. */
const VOTING_PERIOD = 6_000;

let holders: Holders;
beforeAll(async () => {
  holders = await openHolders({ votingPeriod: VOTING_PERIOD });
  // Votes count from the second after the claim on.
  await pass(holders.world, 1);
});
afterAll(() => holders?.close());

const at = () => ["--state", holders.state];
let commit = "5a".repeat(20);
const ada = formatAddress(accountOf("ada").address);

/** A grant for the commit, as somebody asks for it. */
async function grantFile(...more: readonly string[]): Promise<string> {
  const file = join(temporaryDirectory(), "grant.json");
  const about = ["--author", ada, "--repository", "https://example.org/tools.git", "--commit", commit];
  await told("code", "propose", file, ...at(), ...about, "--description", "It loads faster.", "--amount", "2", ...more);
  return file;
}

interface Proposed {
  readonly id: string;
  readonly call: ShownCall;
  readonly proposal: { readonly proposalId: string };
}

test("a commit that is granted during the vote is named, and paid for another time with --again alone", async () => {
  const { client, world } = holders;
  const byVote = async (file: string, ...more: readonly string[]) =>
    told<Proposed>("code", "approve-by-vote", file, ...at(), ...more);
  const { proposalId } = (await byVote(await grantFile())).proposal;
  const listed = () => told<{ granted: string[] }[]>("proposals", "list", ...at());
  expect(await listed()).toMatchObject([{ granted: [] }]);
  const { stdout: all } = await cotrainHere(["proposals", "list", ...at()]);
  expect(all).toMatch(/^It takes [\d,.]+ votes? to propose\.$/m);

  // Approved meanwhile, as by maintainers.
  const other = await byVote(await grantFile("--cliff", "1h"), "--dry-run");
  const { contracts: addresses, modelId } = world;
  const timelock = await timelockOf(client, { addresses, modelId });
  await client.setBalance({ address: timelock, value: 10n ** 18n });
  await client.impersonateAccount({ address: timelock });
  await execute(client, timelock, other.call);

  const words = `Commit ${commit} has a grant already, ${other.id} of 2 shares for ${ada}, approved in 0x`;
  expect(await listed()).toMatchObject([{ granted: [expect.stringContaining(words)] }]);
  const { stdout } = await cotrainHere(["proposals", "list", ...at()]);
  expect(stdout.replaceAll(/\s+/g, " ")).toContain("once this is carried out, it is paid for another time.");
  await pass(world, 2);
  const vote = await cotrainHere(["vote", proposalId, "for", ...at()]);
  expect(vote).toMatchObject({ code: 0, stderr: expect.stringContaining(words) });

  await pass(world, VOTING_PERIOD);
  const carryOut = ["proposals", "execute", proposalId, ...at()];
  for (const step of ["queue", "execute"]) {
    expect(verdictOf(await cotrainHere(carryOut))).toEqual(
      refusal(1, `Proposal ${proposalId} goes no further by itself. ${words}`),
    );
    expect(await told(...carryOut, "--again")).toMatchObject({ step });
    await pass(world, 60);
  }
  expect(await told("code", "list", ...at())).toHaveLength(2);
  expect(await listed()).toMatchObject([{ granted: [] }]);
});

test("maintainers are told of a vote on the same commit before they sign", async () => {
  const { client, world, wallets, keysOf } = holders;
  const { contracts: addresses, modelId } = world;
  const account = await timelockOf(client, { addresses, modelId });
  const maintainers = [wallets["worker-1"]!];
  const { event } = await setMaintainers.sync(client, {
    account,
    addresses,
    modelId,
    maintainers,
    replaces: 0,
    threshold: 1,
    pollingInterval: 20,
  });
  await client.setNextBlockTimestamp({ timestamp: BigInt(event.effectiveAt) });
  await client.mine({ blocks: 1 });
  commit = "5b".repeat(20);
  const { proposalId } = (await told<Proposed>("code", "approve-by-vote", await grantFile(), ...at())).proposal;
  const approve = async () => ["code", "approve", await grantFile("--cliff", "1h"), ...at(), ...keysOf("worker-1")];
  const { stdout } = await cotrainHere(await approve());
  expect(stdout.replaceAll(/\s+/g, " ")).toContain(
    `voted on proposal ${proposalId} grants the same commit 2 shares for ${ada}, and is pending: voting begins after `,
  );
  expect(await told(...(await approve()))).toMatchObject({ votes: [{ proposalId, state: "pending" }] });
  // Of another commit there is none.
  commit = "5c".repeat(20);
  expect(await told(...(await approve()))).toMatchObject({ votes: [] });
});
