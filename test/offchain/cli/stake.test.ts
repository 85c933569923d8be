/** `cotrain stake` on a real node: put up, asked for, and fetched once it has waited. */
import { join } from "node:path";

import { activeStakeOf, setStakePayee, stakeManagerOf, stakeOf } from "@cotrain/sdk/actions";
import { asAddress, type StakeRole } from "@cotrain/sdk/protocol";
import { getAddress, parseEther } from "viem";
import { expect, test } from "vitest";

import { accountOf, validators } from "../chain/world.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const worker = asAddress(accountOf("worker-1").address);
const friend = asAddress(accountOf("friend").address);
const validator = asAddress(accountOf("validator-1").address);
const stage = staged(["worker-1", "validator-1"]);
const { by, pins } = stage;

const at = () => ["--state", stage.state];
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
const stakeNow = async (role: StakeRole, staker: typeof worker) => {
  const { contracts: addresses, modelId } = stage.world;
  const stakes = await stakeManagerOf(stage.client, { addresses });
  return { ...(await stakeOf(stage.client, { stakes, modelId, role, staker })), stakes };
};
const goOn = async (seconds: number): Promise<void> => {
  await stage.client.increaseTime({ seconds });
  await stage.client.mine({ blocks: 1 });
};

interface Shown {
  readonly minStake: string | null;
  readonly delay: number;
  readonly stakes: readonly { readonly account: string; readonly active: string; readonly leavesAt: number | null }[];
}

test("a worker puts coins up, asks for some, and has them back once they have waited", async () => {
  const show = () => told<Shown>("stake", "show", "--account", worker, ...at());
  expect(await show()).toMatchObject({ minStake: null, stakes: [{ account: getAddress(worker), active: "0" }] });

  const asked = await cotrainHere(["stake", "deposit", "0.5", ...at(), ...by("worker-1")]);
  expect(flat(asked.stdout)).toContain("puts 0.5 coins at stake for itself as a worker; they come back");
  expect(asked.stdout).toContain("--yes deposits it");
  expect((await stakeNow("worker", worker)).active).toBe(0n);

  const deposit = await cotrainHere(["stake", "deposit", "0.5", ...at(), ...by("worker-1"), "--yes"]);
  expect(flat(deposit.stdout)).toContain("has 0.5 coins at stake as a worker; nothing is leaving.");
  expect((await stakeNow("worker", worker)).active).toBe(parseEther("0.5"));
  const own = join(temporaryDirectory(), "state");
  await stage.stateAt(own, { "worker-1": worker });
  expect(flat((await cotrainHere(["stake", "show", "--state", own])).stdout)).toContain(
    `worker-1 ${getAddress(worker)} has 0.5 coins at stake as a worker`,
  );

  const tooMuch = await cotrainHere(["stake", "request", "0.6", ...at(), ...by("worker-1")]);
  expect(verdictOf(tooMuch)).toEqual(
    refusal(1, "has 0.5 coins at stake as a worker that are not leaving, and 0.6 coins"),
  );
  const dry = await cotrainHere(["stake", "request", "0.2", "--dry-run", ...at(), ...by("worker-1")]);
  expect(flat(dry.stdout)).toContain("would ask for 0.2 coins");
  expect((await stakeNow("worker", worker)).leaving).toBe(0n);
  expect(await cotrainHere(["stake", "withdraw", ...at(), ...by("worker-1")])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("is leaving"),
  });

  const request = await cotrainHere(["stake", "request", "0.2", "--max-fee=1", ...by("worker-1"), ...pins()]);
  expect(flat(request.stdout)).toContain(
    "has 0.3 coins at stake as a worker; 0.2 coins are leaving and may be fetched from",
  );
  const { stakes, active } = await stakeNow("worker", worker);
  expect(active).toBe(parseEther("0.3"));
  const { modelId } = stage.world;
  expect(await activeStakeOf(stage.client, { stakes, modelId, role: "worker", staker: worker })).toBe(active);
  const early = await cotrainHere(["stake", "withdraw", ...at(), ...by("worker-1")]);
  expect(early.code).toBe(75);
  // The time once: what the contract says is the same.
  expect(flat(early.stdout)).toMatch(/: 0\.2 coins are leaving and may be fetched from \S+ on\. $/);
  expect((await stakeNow("worker", worker)).leaving).toBe(parseEther("0.2"));

  await goOn((await show()).delay + 1);
  const would = await cotrainHere(["stake", "withdraw", "--dry-run", ...at(), ...by("worker-1")]);
  expect(flat(would.stdout)).toContain("would be paid 0.2 coins. Nothing was sent.");
  const before = await stage.client.getBalance({ address: friend });
  const paid = await told<readonly { readonly amount: string }[]>(
    "stake",
    "withdraw",
    "--to",
    friend,
    "--max-fee=1",
    ...by("worker-1"),
    ...pins(),
  );
  expect(paid).toMatchObject([{ amount: String(parseEther("0.2")), transaction: expect.stringMatching(/^0x/) }]);
  expect((await stage.client.getBalance({ address: friend })) - before).toBe(parseEther("0.2"));

  await cotrainHere(["stake", "request", "all", ...at(), ...by("worker-1")]);
  expect(await stakeNow("worker", worker)).toMatchObject({ active: 0n, leaving: parseEther("0.3") });
  expect(verdictOf(await cotrainHere(["stake", "request", "all", ...at(), ...by("worker-1")]))).toEqual(
    refusal(1, "No wallet here has anything at stake as a worker that is not leaving."),
  );
});

test("a validator's stake does not leave while it is one, and it is said so", async () => {
  expect(validators.map(({ address }) => asAddress(address))).toContain(validator);
  const role = ["--role", "validator", ...at(), ...by("validator-1")];
  expect((await cotrainHere(["stake", "deposit", "1", "--yes", "--max-fee=1", ...role])).code).toBe(0);
  expect((await cotrainHere(["stake", "request", "all", ...role])).code).toBe(0);
  await goOn(10_000);
  const refused = flat((await cotrainHere(["stake", "withdraw", ...role])).stdout);
  expect(refused).toContain(
    "not while the account is a validator: the time runs from when a set without it is in force",
  );
  expect((await stakeNow("validator", validator)).leaving).toBe(parseEther("1"));
  expect(await told("stake", "show", "--role", "validator", "--account", validator, ...pins())).toMatchObject({
    stakes: [{ isValidator: true, leavesAt: null, leaving: String(parseEther("1")) }],
  });
});

test("one wallet pays for another, and no coordinator says whom", async () => {
  const telling = [`--coordinator=${await tellingCoordinator(stage.world, stage.client)}`, "--rpc", stage.node.url];
  const elsewhere = ["--state", temporaryDirectory(), ...by("worker-1")];
  const unpinned = await cotrainHere(["stake", "deposit", "0.5", "--yes", ...telling, ...elsewhere]);
  expect(unpinned).toMatchObject({ code: 1, stderr: expect.stringContaining("is the coordinator's word alone") });
  const paid = await told<readonly object[]>(
    "stake",
    "deposit",
    "0.5",
    "--for",
    friend,
    "--yes",
    ...at(),
    ...by("worker-1"),
  );
  expect(paid).toMatchObject([{ account: getAddress(friend), amount: String(parseEther("0.5")) }]);
  expect((await stakeNow("worker", friend)).active).toBe(parseEther("0.5"));
});

test("whom an account has named as the only one that is ever paid is said, and paid", async () => {
  const { stakes } = await stakeNow("worker", worker);
  const { modelId } = stage.world;
  const account = accountOf("worker-1");
  await setStakePayee.sync(stage.client, { stakes, modelId, role: "worker", payee: friend, account });
  const own = [...at(), ...by("worker-1")];
  const asked = await cotrainHere(["stake", "deposit", "0.5", ...own]);
  expect(flat(asked.stdout)).toContain(`they come back to ${getAddress(friend)} alone,`);
  const deposit = await cotrainHere(["stake", "deposit", "0.5", "--yes", ...own]);
  expect(flat(deposit.stdout)).toContain(`Only ${getAddress(friend)} is ever paid of it.`);
  expect(await told("stake", "show", "--account", worker, ...at())).toMatchObject({
    stakes: [{ payee: getAddress(friend) }],
  });
  expect((await cotrainHere(["stake", "request", "all", ...own])).code).toBe(0);
  await goOn((await told<Shown>("stake", "show", "--account", worker, ...at())).delay + 1);
  // Nobody else ever is, however late.
  expect((await cotrainHere(["stake", "withdraw", "--to", worker, ...own])).code).toBe(1);
  const before = await stage.client.getBalance({ address: friend });
  const paid = await cotrainHere(["stake", "withdraw", ...own]);
  expect(flat(paid.stdout)).toContain(`${getAddress(friend)} was paid 0.5 coins`);
  expect((await stage.client.getBalance({ address: friend })) - before).toBe(parseEther("0.5"));
});

test.each(["0", "-1", "much", "1.0000000000000000001"])("%s is no amount of coins", async (amount) => {
  const refused = await cotrainHere(["stake", "deposit", "--", amount]);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("An amount of coins is a number above 0") });
});
