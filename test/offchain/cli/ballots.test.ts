/** Votes that a holder signs and somebody else sends, and withdrawing a proposal of one's own, on a real node. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { ballotNonce, ballotToSign, delegate, hasVoted, modelContractsOf, proposalVotes } from "@cotrain/sdk/actions";
import { type Address, asAddress } from "@cotrain/sdk/protocol";
import { concatHex, encodeFunctionData, erc20Abi, getAddress, type Hex, hashTypedData } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";

import { pass } from "../chain/settle.ts";
import { type Holders, openHolders } from "./holders.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

/** Seconds, all far beyond what the commands take on any machine. */
const settings = { votingDelay: 36_000, votingPeriod: 72_000, timelockDelay: 36_000 };

let holders: Holders;
let governor: Address;
let file: string;
beforeAll(async () => {
  holders = await openHolders(settings);
  const { client, world } = holders;
  const { contracts: addresses, modelId } = world;
  governor = asAddress((await modelContractsOf(client, { addresses, modelId })).governor);
  file = join(holders.state, "vote.json");
  // Votes count from the second after they were claimed.
  await pass(world, 2);
}, 120_000);
afterAll(() => holders.close());

/** Named by run, contracts and chain, from a directory that has no wallet. */
const there = (name: string) => [...holders.pins, ...holders.keysOf(name), "--state", temporaryDirectory()];

async function documentOf<T>(...words: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await cotrainHere([...words, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.anything() });
  return JSON.parse(stdout) as T;
}

/** A proposal of the wallet with the most votes. @returns its id */
async function proposed(reason: string): Promise<string> {
  const words = ["propose", "innerSteps=12", "--reason", reason, "--state", holders.state];
  return (await documentOf<{ proposal: { proposalId: string } }>(...words)).proposal.proposalId;
}

const votesOn = (proposalId: string) => proposalVotes(holders.client, { governor, proposalId: BigInt(proposalId) });

test.each([
  [[], "Which proposal is missing"],
  [["4711081"], "The vote is missing: say for, against or abstain"],
  [["4711081", "for", "--submit", "f"], "What --submit sends names proposal, vote and reason itself"],
  [["--submit", "f", "--reason", "x"], "What --submit sends names proposal, vote and reason itself"],
  [["--submit", "f", "--sign", "g"], "--sign and --submit exclude each other"],
  [["--submit", "nowhere.json"], "There is no file nowhere.json: a holder makes it with --sign."],
])("vote %j is refused, and nothing is done", async (words, sentence) => {
  expect(verdictOf(await cotrainHere(["vote", ...words, "--state", holders.state]))).toEqual(refusal(1, sentence));
});

test("a holder signs a vote, somebody else sends it, once", async () => {
  const { state, wallets, client, world, supply } = holders;
  const [one, two] = [wallets["worker-1"]!, wallets["worker-2"]!];
  const proposalId = await proposed("Rounds are too short.");
  const nonce = () => ballotNonce(client, { governor, account: one });
  const voted = () => hasVoted(client, { governor, proposalId: BigInt(proposalId), account: one });
  const sign = ["vote", proposalId, "for", "--sign", file, "--reason", "They are."];

  // Whoever says which contracts are meant would have anything signed.
  const told = [`--coordinator=${await tellingCoordinator(world, client)}`, `--rpc=${world.url}`];
  expect(verdictOf(await cotrainHere([...sign, ...told, ...holders.keysOf("worker-1")]))).toMatchObject({
    code: 1,
    sentence: expect.stringContaining("A coordinator does not say what is signed"),
  });
  expect(verdictOf(await cotrainHere([...sign, "--state", state])).sentence).toContain("One wallet signs one file");

  // Before voting begins, too; what it does is said before it is signed, and what is signed in words.
  const shown = await cotrainHere([...sign, "--dry-run", ...there("worker-1")]);
  expect(shown.stderr).toContain("If holders accept it: RunRegistry sets parameters of this run");
  const said = `${getAddress(one)} votes for on proposal ${proposalId} "8 → 12 inner steps per round", with what votes it has when voting begins, because "They are.": governor ${getAddress(governor)}, nonce 0, to be sent until voting ends,`;
  expect(shown.stdout.replaceAll(/\s+/gu, " ")).toContain(said);
  expect(existsSync(file)).toBe(false);
  const mine = `${file}.mine`;
  writeFileSync(mine, "{}\n");
  const over = [...sign.slice(0, 4), mine, ...there("worker-1")];
  expect(verdictOf(await cotrainHere(over)).sentence).toBe(
    `${mine} exists and is no earlier signed vote: name another file.`,
  );
  expect(readFileSync(mine, "utf8")).toBe("{}\n");
  const early = await cotrainHere([...sign, ...there("worker-1")]);
  expect(early.stdout.replaceAll(/\s+/gu, " ")).toContain(`Signed in ${file}: anybody who has the file may send it`);
  expect(early.stderr).toContain(
    `By the deployment that is pinned, the model's governor is contract ${getAddress(governor)}; the node says the same.`,
  );
  const submit = (...flags: string[]) => cotrainHere(["vote", "--submit", file, ...flags, ...there("worker-2")]);
  expect(verdictOf(await submit())).toMatchObject({ code: 75, sentence: expect.stringContaining("it is pending") });

  await pass(world, settings.votingDelay + 60);
  const signed = await documentOf<object>(...sign, ...there("worker-1"));
  expect(signed).toMatchObject({ state: "signed", voter: getAddress(one), support: "for", nonce: "0" });
  expect([await nonce(), await voted()]).toEqual([0n, false]);

  const whole = readFileSync(file, "utf8");
  const other = await proposed("Rounds are too short, I say.");
  await pass(world, settings.votingDelay + 60);
  for (const [change, sentence] of [
    [{ support: "against" }, `is not signed by ${getAddress(one)}, or not this vote`],
    [{ proposalId: other }, "is not signed by"],
    [{ voter: two.toLowerCase() }, `is not signed by ${getAddress(two)}`],
    [{ reason: "They are not." }, "is not signed by"],
    [{ reason: null }, "is not signed by"],
    [{ signature: `0x${"00".repeat(65)}` }, "is not signed by"],
    [{ signature: "0x" }, "is not signed by"],
    [{ nonce: "1" }, "what was signed before it has to be sent first"],
    [{ chainId: 1 }, "is a vote under governor"],
    [{ governor: two.toLowerCase() }, "is a vote under governor"],
    [{ proposalId: "4711081" }, "has no proposal 4711081"],
    [{ support: "FOR" }, file],
  ] as const) {
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(whole) as object), ...change }));
    const refused = await submit();
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(sentence);
  }
  writeFileSync(file, whole);
  expect((await submit("--dry-run")).stdout.replaceAll(/\s+/gu, " ")).toMatch(
    /Sending it would take about [\d,]+ gas\. Nothing was signed or sent\./u,
  );
  expect(await voted()).toBe(false);

  const sent = await documentOf<{ state: string; votes: string }>("vote", "--submit", file, ...there("worker-2"));
  expect(sent).toMatchObject({ state: "sent", transaction: expect.stringMatching(/^0x/u) });
  expect(await votesOn(proposalId)).toEqual({ for: BigInt(sent.votes), against: 0n, abstain: 0n });
  expect(BigInt(sent.votes)).toBeLessThan(supply);
  expect(verdictOf(await submit())).toMatchObject({ code: 1, sentence: expect.stringContaining("voted on proposal") });
  // Who has voted signs no other vote on it.
  expect(verdictOf(await cotrainHere([...sign, ...there("worker-1")])).sentence).toContain("a vote cannot be changed");

  // Of two that were signed before one was sent, one counts; and whoever holds it back keeps nobody from voting.
  const second = ["vote", other, "abstain", "--sign", file, ...there("worker-1")];
  await documentOf(...second);
  const kept = readFileSync(file, "utf8");
  const third = await proposed("Rounds are too short, I still say.");
  await pass(world, settings.votingDelay + 60);
  await documentOf("vote", third, "against", "--sign", file, ...there("worker-1"));
  expect(await submit()).toMatchObject({ code: 0 });
  writeFileSync(file, kept);
  expect(verdictOf(await submit()).sentence).toContain("another vote that it signed was sent in its place");
  expect(await documentOf("vote", other, "for", ...there("worker-1"))).toMatchObject({ support: "for" });
});

test("a wallet that is a contract has its votes sent like any other", async () => {
  const { client, world, shares } = holders;
  const wallet = asAddress(`0x${"c0de".repeat(10)}`);
  // Somebody sends it shares, and it votes with them.
  await client.impersonateAccount({ address: wallet });
  await client.setBalance({ address: wallet, value: 10n ** 18n });
  const from = holders.wallets["worker-2"]!;
  await client.impersonateAccount({ address: from });
  const call = async (sender: Address, data: Hex) => {
    const hash = await client.request({
      method: "eth_sendTransaction",
      params: [{ from: sender, to: shares, data }],
    } as never);
    await client.waitForTransactionReceipt({ hash });
  };
  const part = 10n ** 15n;
  await call(from, encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args: [wallet, part] }));
  await call(wallet, delegate.call({ shares, delegatee: wallet }).data);
  await pass(world, 2);

  const proposalId = await proposed("Contracts vote, too.");
  await pass(world, settings.votingDelay + 60);
  const vote = { proposalId: BigInt(proposalId), support: "for", voter: wallet, nonce: 0n } as const;
  const digest = hashTypedData(await ballotToSign(client, { governor, ...vote }));
  const ballot = { version: 1, chainId: world.chainId, governor, proposalId, support: "for", voter: wallet };
  writeFileSync(file, JSON.stringify({ ...ballot, nonce: "0", reason: null, signature: "0x1234" }));
  const submit = (...flags: string[]) =>
    cotrainHere(["vote", "--submit", file, ...there("worker-1"), "--max-fee=1", ...flags]);
  expect(verdictOf(await submit()).sentence).toContain(`is not signed by ${getAddress(wallet)}`);
  // It answers, as ERC-1271 has it, that this one digest is signed.
  const code = concatHex(["0x7f", digest, "0x60043514631626ba7e60e01b0260005260206000f3"]);
  await client.setCode({ address: wallet, bytecode: code });
  // Its code may do more than look: 390,000 turns of a loop, for which the sender would pay.
  await client.setCode({ address: wallet, bytecode: "0x620600005b600190038060045750631626ba7e60e01b60005260206000f3" });
  expect(verdictOf(await submit())).toMatchObject({
    code: 1,
    sentence: expect.stringMatching(/would take about 1\d,\d{3},\d{3} gas, .* \(--max-gas\) are 500,000/u),
  });
  expect((await votesOn(proposalId)).for).toBe(0n);
  await client.setCode({ address: wallet, bytecode: code });
  const { gas } = JSON.parse((await submit("--dry-run", "--json")).stdout) as { gas: string };
  // A quarter more than it takes would be more than is allowed.
  const most = BigInt(gas) + 1_000n;
  const { transaction } = JSON.parse((await submit(`--max-gas=${most}`, "--json")).stdout) as { transaction: Hex };
  expect((await client.getTransaction({ hash: transaction })).gas).toBe(most);
  expect((await votesOn(proposalId)).for).toBe(part);
});

test("who proposed withdraws it before voting begins, and nobody else does", async () => {
  const { state, wallets, client, world } = holders;
  const proposalId = await proposed("A mistake.");
  const [proposal] = await documentOf<{ proposer: Address }[]>("proposals", "list", "--last=1", "--state", state);
  const mine = asAddress(proposal!.proposer) === wallets["worker-1"] ? "worker-1" : "worker-2";
  const others = mine === "worker-1" ? "worker-2" : "worker-1";
  const cancel = (...flags: string[]) => cotrainHere(["proposals", "cancel", proposalId, ...flags]);
  expect(verdictOf(await cancel(...there(others)))).toEqual(
    refusal(1, `Proposal ${proposalId} is ${proposal!.proposer}'s, who alone can cancel it`),
  );
  const told = [
    `--coordinator=${await tellingCoordinator(world, client)}`,
    `--rpc=${world.url}`,
    ...holders.keysOf(mine),
  ];
  const done = await cancel(...told, "--max-fee=1", "--json");
  expect(JSON.parse(done.stdout)).toMatchObject({ proposalId, account: proposal!.proposer, state: "canceled" });
  expect(verdictOf(await cancel("--state", state))).toEqual(
    refusal(1, `A proposal can be cancelled until voting begins, and ${proposalId} was cancelled.`),
  );
  const late = await proposed("Another mistake.");
  await pass(world, settings.votingDelay + 60);
  expect(verdictOf(await cotrainHere(["proposals", "cancel", late, "--state", state]))).toEqual(
    refusal(1, `A proposal can be cancelled until voting begins, and ${late} is active`),
  );
});
