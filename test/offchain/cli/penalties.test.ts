/** What disputes and offences cost, who rules in a model's bootstrap, and who alone is paid a stake: on a real node. */

import { bondTerms, disputeOf, slashTermsOf, stakeManagerOf, stakeOf } from "@cotrain/sdk/actions";
import { asAddress, structHash } from "@cotrain/sdk/protocol";
import { getAddress, parseEther } from "viem";
import { beforeAll, expect, test } from "vitest";

import { settleLater } from "../chain/settle.ts";
import { accountOf } from "../chain/world.ts";
import { keepOrganiser } from "./organiser.ts";
import { execute, type ShownCall, staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const worker = asAddress(accountOf("worker-1").address);
const friend = asAddress(accountOf("friend").address);
const stage = staged(["worker-1"], { young: true });
const { by, pins } = stage;

const at = () => ["--state", stage.state];
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
const telling = async () => [
  `--coordinator=${await tellingCoordinator(stage.world, stage.client)}`,
  "--rpc",
  stage.node.url,
  "--state",
  temporaryDirectory(),
];

beforeAll(async () => {
  await keepOrganiser(stage.keys);
});

const rule = (ruling: string, ...flags: readonly string[]) => cotrainHere(["disputes", "rule", ruling, ...flags]);

test("the organiser ends a dispute in the model's bootstrap, and nobody else does", async () => {
  const { world, client } = stage;
  const signed = await settleLater({ url: world.url, directory: temporaryDirectory() }, world, "first");
  const digest = structHash("Attestation", signed);
  expect(verdictOf(await rule("refused", ...at(), ...by("organiser")))).toEqual(
    refusal(1, "No dispute of this model about a root of compute is open: there is nothing to rule on."),
  );
  expect((await cotrainHere(["disputes", "open", "--yes", ...at(), ...by("worker-1")])).code).toBe(0);

  expect(verdictOf(await rule("perhaps", ...at()))).toEqual(refusal(1, 'A ruling is "stands" or "refused"'));
  const asked = await rule("refused", ...at(), ...by("organiser"));
  expect(flat(asked.stdout)).toContain("refuses the root as if nobody had voted");
  expect(asked.stdout).toContain("Nothing was sent: --yes sends it.");
  const unpinned = await rule("refused", "--yes", ...(await telling()), ...by("organiser"));
  expect(unpinned).toMatchObject({ code: 1, stderr: expect.stringContaining("is the coordinator's word alone") });
  expect((await rule("refused", "--yes", ...at(), ...by("worker-1"))).code).toBe(1);
  // Not before its window is over.
  expect((await rule("stands", "--yes", ...at(), ...by("organiser"))).code).toBe(75);
  expect((await disputeOf(client, { addresses: world.contracts, digest }))!.endedAt).toBe(0);

  const ruled = await rule("refused", "--yes", "--max-fee", "1", "--json", ...pins(), ...by("organiser"));
  expect(JSON.parse(ruled.stdout)).toMatchObject({ digest, ruling: "refused", transaction: expect.any(String) });
  expect(await disputeOf(client, { addresses: world.contracts, digest })).toMatchObject({ outcome: 3, voted: false });
});

test("what a dispute costs is shown, and put to the holders in words", async () => {
  await stage.endBootstrap();
  const { world, client } = stage;
  const { contracts: addresses, modelId } = world;
  const shown = await cotrainHere(["disputes", "bond", ...at()]);
  expect(shown.stdout).toBe(
    "The first dispute of a row costs a bond of 0.01 coins. The next one costs 0.01 coins about a root of compute, and 0.01 coins about one of revenue.\n",
  );
  expect(verdictOf(await cotrainHere(["disputes", "bond", "0.01", "--dry-run", ...at()]))).toEqual(
    refusal(1, "All that is asked for is in force"),
  );
  const { title, call } = await told<{ title: string; call: ShownCall & { words: string } }>(
    "disputes",
    "bond",
    "0.02",
    "--dry-run",
    ...at(),
  );
  expect(title).toBe("what the first dispute of a row costs: 0.01 coins → 0.02 coins");
  expect(call.words).toContain("in the place of bond 1, to 0.02 coins: it is 0.01 coins now.");
  await stage.asHolders((timelock) => execute(client, timelock, call));
  expect(await bondTerms(client, { addresses, modelId })).toMatchObject({ base: parseEther("0.02"), version: 2 });
});

test("what offences cost is shown, and put to the holders in words", async () => {
  await stage.endBootstrap();
  const { world, client } = stage;
  const { contracts: addresses, modelId } = world;
  const stakes = await stakeManagerOf(client, { addresses });
  const before = await slashTermsOf(client, { stakes, modelId });
  expect(await told("stake", "terms", ...at())).toMatchObject({ ...before, contract: stakes });
  const parts = ["--conflict", "50", "--voided", "8.5", "--ruling", "12"];
  const { title, call } = await told<{ title: string; call: ShownCall & { words: string } }>(
    "stake",
    "terms",
    ...parts,
    "--dry-run",
    ...at(),
  );
  expect(title).toContain("→ 8.5% for a signature under a voided root or a vetoed ruling");
  expect(call.words).toContain("50% for two statements that contradict each other, 8.5% for a signature");
  expect(call.words).toContain(`in the place of terms ${before.version}`);
  await stage.asHolders((timelock) => execute(client, timelock, call));
  const after = { conflictBps: 5_000, voidedBps: 850, rulingBps: 1_200, version: before.version + 1 };
  expect(await slashTermsOf(client, { stakes, modelId })).toEqual(after);
  expect(flat((await cotrainHere(["stake", "terms", ...at()])).stdout)).toContain("8.5% for a signature");
  expect((await cotrainHere(["stake", "terms", "--voided", "20", "--dry-run", ...at()])).stderr).toContain(
    "--voided must be a number from 1 to 10",
  );
  expect((await cotrainHere(["stake", "terms", "--voided", "8.555", "--dry-run", ...at()])).stderr).toContain(
    "a percentage with at most two decimals",
  );
});

test("a wallet names who alone is paid its stake, once and for ever", async () => {
  const { world, client } = stage;
  const { contracts: addresses, modelId } = world;
  const name = (...flags: readonly string[]) => cotrainHere(["stake", "payee", friend, ...flags]);
  const payee = async () => {
    const stakes = await stakeManagerOf(client, { addresses });
    return (await stakeOf(client, { stakes, modelId, role: "validator", staker: worker })).payee;
  };
  const own = ["--role", "validator", ...by("worker-1")];
  const asked = await name(...at(), ...own);
  expect(flat(asked.stdout)).toContain(`only ${getAddress(friend)} is ever paid of what`);
  expect(asked.stdout).toContain("Nothing was sent: --yes names it.");
  const unpinned = await name("--yes", ...(await telling()), ...own);
  expect(unpinned).toMatchObject({ code: 1, stderr: expect.stringContaining("is the coordinator's word alone") });
  expect(verdictOf(await cotrainHere(["stake", "payee", "0x12", ...at(), ...own]))).toEqual(
    refusal(1, "A payee is named by its address"),
  );
  expect(BigInt(await payee())).toBe(0n);
  expect((await name("--yes", "--max-fee=1", ...pins(), ...own)).code).toBe(0);
  expect(await payee()).toBe(getAddress(friend));
  expect(verdictOf(await name("--yes", ...at(), ...own))).toEqual(refusal(1, "for ever."));
});
