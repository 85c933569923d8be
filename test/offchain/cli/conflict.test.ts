/** `cotrain stake conflict` on a real node: both statements are held against everything before anything is sent. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import {
  currentSetVersion,
  depositStake,
  newestSetVersion,
  reporterFeesOf,
  setValidators,
  stakeManagerOf,
  stakeOf,
} from "@cotrain/sdk/actions";
import {
  asAddress,
  asDigest,
  asHead,
  type Attestation,
  domainFor,
  toWire,
  typedDataOf,
  type Verdict,
  verdictKind,
} from "@cotrain/sdk/protocol";
import { createWalletClient, getAddress, http, type LocalAccount, parseEther, zeroAddress, zeroHash } from "viem";
import { expect, test } from "vitest";

import { connect } from "../../../offchain/src/chain/index.ts";
import { type Contradiction, type ToldOffence, writeContradiction } from "../../../offchain/src/run/index.ts";
import { createOffenceWatch, createVerdictEar } from "../../../offchain/src/run/offenceWatch.ts";
import { nextRun } from "../chain/nextRun.ts";
import { accountOf, keyOf, validators } from "../chain/world.ts";
import { mirrorOf } from "./mirror.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const stage = staged(["worker-1"]);
const { by, pins } = stage;
const [liar, other] = validators as readonly LocalAccount[] as [LocalAccount, LocalAccount];
const account = accountOf("worker-1");
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
const report = (file: string, ...flags: readonly string[]) =>
  cotrainHere(["stake", "conflict", file, "--state", stage.state, ...by("worker-1"), ...flags]);

const place = () => ({ chainId: stage.world.chainId, contracts: stage.world.contracts });

async function verdict(value: bigint, over: Partial<Verdict> = {}, signer: LocalAccount = liar) {
  const { chainId, contracts, runId } = stage.world;
  const struct: Verdict = {
    runId,
    round: 0n,
    head: asHead(keyOf("head")),
    validator: asAddress(liar.address),
    kind: verdictKind.aggregate,
    worker: zeroAddress,
    index: 3,
    value,
    evidence: asDigest(zeroHash),
    issuedAt: value,
    ...over,
  };
  const domain = domainFor(chainId, asAddress(contracts.runRegistry));
  const signature = await signer.signTypedData(typedDataOf(domain, "Verdict", struct));
  return { verdict: toWire("Verdict", struct), signature };
}

async function attestation(total: bigint, over: Partial<Attestation> = {}) {
  const { chainId, contracts, runId, modelId } = stage.world;
  const struct: Attestation = {
    kind: 0,
    modelId,
    index: 1n,
    fromEpoch: 0n,
    toEpoch: 2n,
    runId,
    head: asHead(keyOf("head")),
    epochDigest: asDigest(keyOf("manifest")),
    previousRoot: zeroHash,
    root: keyOf("root"),
    total,
    setVersion: 1,
    blockNumber: 5n,
    blockHash: keyOf("block"),
    deadline: 1_000_000n,
    ...over,
  };
  const domain = domainFor(chainId, asAddress(contracts.computeRewards));
  return {
    attestation: toWire("Attestation", struct),
    signature: await liar.signTypedData(typedDataOf(domain, "Attestation", struct)),
  };
}

/** @returns where both are written */
async function written(contradiction: Contradiction, where = place()): Promise<string> {
  const path = join(temporaryDirectory(), "conflict.json");
  await writeContradiction(path, where, contradiction);
  return path;
}
const ofVerdicts = async (...[a, b]: readonly [Parameters<typeof verdict>, Parameters<typeof verdict>]) =>
  written({ kind: "verdicts", pair: [await verdict(...a), await verdict(...b)] });

async function deposited(amount: bigint) {
  const { client, world, node } = stage;
  const { contracts: addresses, modelId } = world;
  const stakes = await stakeManagerOf(client, { addresses });
  const wallet = createWalletClient({ account, transport: http(node.url) });
  await client.setBalance({ address: account.address, value: parseEther("100") });
  const staker = asAddress(liar.address);
  await depositStake.sync(wallet, { stakes, modelId, role: "validator", staker, amount });
  return {
    stakes,
    active: async () => (await stakeOf(client, { stakes, modelId, role: "validator", staker })).active,
  };
}

test("two verdicts about one fragment cost a validator half of its stake, once, and who shows them has a fee", async () => {
  const file = await ofVerdicts([0n], [10_000n]);
  expect(flat((await report(file)).stdout)).toContain("It has nothing at stake.");
  const { stakes, active } = await deposited(parseEther("2"));
  const dry = await report(file, "--dry-run");
  expect(flat(dry.stdout)).toBe(
    `${getAddress(liar.address)} signed two verdicts about fragment 3 of head ${keyOf("head")}: 0 and 10000 of 10000. It would lose 1 coins of its stake; of these 0.05 coins would be for ${getAddress(account.address)}, the rest for nobody. Nothing was sent. `,
  );
  expect(await active()).toBe(parseEther("2"));

  // By anybody, from a directory that knows neither run nor wallet.
  const done = await told<object>("stake", "conflict", file, ...pins(), ...by("worker-1"), "--max-fee", "1");
  expect(done).toMatchObject({
    kind: "verdicts",
    state: "slashed",
    validator: getAddress(liar.address),
    amount: String(parseEther("1")),
    fee: String(parseEther("0.05")),
    reporter: getAddress(account.address),
  });
  expect(await active()).toBe(parseEther("1"));
  expect(await reporterFeesOf(stage.client, { stakes, reporter: account.address })).toBe(parseEther("0.05"));
  expect(flat((await report(await ofVerdicts([10_000n], [0n]))).stdout)).toContain("It has lost stake for it already.");
  expect(await active()).toBe(parseEther("1"));

  const telling = [`--coordinator=${await tellingCoordinator(stage.world, stage.client)}`, `--rpc=${stage.node.url}`];
  const seen = await cotrainHere(["stake", "conflict", file, "--dry-run", ...telling, "--state", temporaryDirectory()]);
  expect(seen).toMatchObject({ code: 0, stderr: expect.stringContaining("the coordinator's word alone") });
});

test("two roots of the same epochs do so as well", async () => {
  const { active } = await deposited(parseEther("2"));
  const file = await written({ kind: "attestations", pair: [await attestation(5n), await attestation(6n)] });
  const done = await report(file);
  expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: "" });
  expect(flat(done.stdout)).toContain("signed two roots of epochs 0 to 2 that are equal in all else");
  expect(await active()).toBe(parseEther("1"));
});

test("what proves nothing is refused before anything is sent", async () => {
  const { active } = await deposited(parseEther("2"));
  const pair = async (...[a, b]: readonly Parameters<typeof attestation>[]) =>
    written({ kind: "attestations", pair: [await attestation(...a!), await attestation(...b!)] });
  const own = await ofVerdicts([0n], [10_000n]);
  const edited = (change: (file: Record<string, unknown>) => object): string => {
    const path = join(temporaryDirectory(), "conflict.json");
    writeFileSync(path, JSON.stringify(change(JSON.parse(readFileSync(own, "utf8")) as Record<string, unknown>)));
    return path;
  };
  const cases: readonly (readonly [string, string])[] = [
    [await ofVerdicts([0n], [0n, { issuedAt: 9n }]), "do not contradict each other"],
    [await ofVerdicts([0n], [10_000n, { index: 2 }]), "do not contradict each other"],
    [await ofVerdicts([0n], [10_000n, { head: asHead(keyOf("another")) }]), "do not contradict each other"],
    // Two machines may measure two losses.
    [
      await ofVerdicts([5n, { kind: verdictKind.loss }], [6n, { kind: verdictKind.loss }]),
      "do not contradict each other",
    ],
    [await ofVerdicts([0n], [10_000n, {}, other]), "not by one key"],
    [await ofVerdicts([0n, {}, other], [10_000n, {}, other]), `and ${getAddress(other.address)} signed them`],
    [await pair([5n], [6n, { deadline: 1_000_001n }]), "they differ in more than what is paid"],
    [await pair([5n], [5n, { epochDigest: asDigest(keyOf("other")) }]), "or pay the same"],
    [await pair([5n, { modelId: keyOf("model") }], [6n, { modelId: keyOf("model") }]), "is about model"],
    [
      await written(
        { kind: "verdicts", pair: [await verdict(0n), await verdict(10_000n)] },
        { ...place(), chainId: 1 },
      ),
      "on chain 1, not for",
    ],
    [edited((file) => ({ ...file, verdicts: undefined })), "it has to hold two verdicts, or two attestations"],
    [edited((file) => ({ ...file, verdicts: (file["verdicts"] as unknown[]).slice(1) })), "is damaged"],
    [join(temporaryDirectory(), "none.json"), "There is no file"],
  ];
  for (const [file, reason] of cases) {
    const { code, stderr, stdout } = await report(file);
    expect({ reason, code, stdout, says: flat(stderr).includes(reason) || stderr }).toEqual({
      reason,
      code: 1,
      stdout: "",
      says: true,
    });
  }
  expect(verdictOf(await report(cases[0]![0]))).toEqual(refusal(1, "proves nothing"));
  expect(await active()).toBe(parseEther("2"));
});

test("whoever watches finds both that somebody shows, writes them down, and anybody reports them", async () => {
  const { active } = await deposited(parseEther("2"));
  const [first, second] = [await verdict(0n), await verdict(10_000n)];
  const shown = [first];
  const watching = [
    ...pins().slice(0, -2),
    `--mirrors=${await mirrorOf(stage.world, () => shown)}`,
    "--state",
    temporaryDirectory(),
  ];
  const once = async () => {
    const { code, stdout } = await cotrainHere(["watch", "--once", "--json", ...watching]);
    return { code, ...(JSON.parse(stdout) as { sound: boolean; offences: readonly ToldOffence[] }) };
  };
  expect(await once()).toMatchObject({ sound: true, offences: [] });
  shown.push(second);
  const seen = await once();
  const [offence, ...others] = seen.offences;
  expect(others).toEqual([]);
  expect(seen).toMatchObject({ code: 1, sound: false });
  expect(offence).toMatchObject({
    kind: "verdicts",
    validator: getAddress(liar.address),
    amount: String(parseEther("1")),
  });
  const { stdout } = await cotrainHere(["watch", "--once", ...watching]);
  expect(flat(stdout)).toContain(`("npx cotrain stake conflict ${offence!.file}").`);
  expect((await report(offence!.file!)).code).toBe(0);
  expect(await active()).toBe(parseEther("1"));
  expect(await once()).toMatchObject({ sound: true, offences: [] });
});

test("of each run that the model has after the one that is watched, too", async () => {
  await deposited(parseEther("2"));
  const next = await nextRun(stage.world);
  const over = { runId: next.runId };
  const [first, second] = [await verdict(0n, over), await verdict(10_000n, over)];
  const mirror = await mirrorOf(stage.world, (runId) => (runId === next.runId ? [first, second] : []));
  const { code, stdout } = await cotrainHere(["watch", "--once", "--json", ...pins(), `--mirrors=${mirror}`]);
  const { offences } = JSON.parse(stdout) as { readonly offences: readonly ToldOffence[] };
  expect(offences).toMatchObject([{ kind: "verdicts", amount: String(parseEther("1")) }]);
  expect(code).toBe(1);
  expect((await report(offences[0]!.file!)).code).toBe(0);
});

test.each([
  ["and has stake is told", "2", [{ kind: "verdicts", amount: String(parseEther("1")) }]],
  ["and has nothing at stake is nobody's matter", undefined, []],
])("who contradicted itself, was replaced %s", async (_, stake, offences) => {
  if (stake !== undefined) await deposited(parseEther(stake));
  const { client, world } = stage;
  const { contracts: addresses, modelId } = world;
  const replaces = await newestSetVersion(client, { addresses, modelId });
  const left = validators.slice(1).map(({ address }) => address);
  const set = { addresses, modelId, replaces, validators: left, threshold: 2 };
  await stage.asHolders((sender) => setValidators.sync(client, { ...set, account: sender, pollingInterval: 20 }));
  await client.increaseTime({ seconds: 3_600 });
  await client.mine({ blocks: 1 });
  expect(await currentSetVersion(client, { addresses, modelId })).toBe(replaces + 1);

  const shown = [await verdict(0n), await verdict(10_000n)];
  const watching = [...pins(), `--mirrors=${await mirrorOf(world, () => shown)}`];
  const { code, stdout } = await cotrainHere(["watch", "--once", "--json", ...watching]);
  const seen = JSON.parse(stdout) as { readonly offences: readonly ToldOffence[] };
  expect(seen.offences).toMatchObject(offences);
  expect({ code, told: seen.offences.length }).toEqual({ code: offences.length, told: offences.length });
});

test("what nobody signed is not believed, hides nothing that somebody did, and fills no memory", async () => {
  const members = [asAddress(liar.address)];
  const [first, second] = [await verdict(0n), await verdict(10_000n)];
  const forged = await verdict(5n, {}, other);
  const found = async (
    lists: readonly (readonly Awaited<ReturnType<typeof verdict>>[])[],
    most?: number,
    of = members,
  ) => {
    const ear = createVerdictEar(place(), most);
    for (const list of lists) await ear.hear(list, of);
    return [...ear.found().values()].map(({ contradiction, signer }) => [contradiction.pair, signer]);
  };
  const pair = [[first, second], asAddress(liar.address)];
  expect(await found([[first, forged]])).toEqual([]);
  expect(await found([[first], [second], [second, first]])).toEqual([pair]);
  // Whatever is shown first.
  expect(await found([[forged, first, second]])).toEqual([pair]);
  expect(await found([[forged], [first], [forged, second]])).toEqual([pair]);
  // Of no member.
  expect(await found([[first, second]], undefined, [asAddress(other.address)])).toEqual([]);
  // The oldest are forgotten.
  const another = await verdict(0n, { index: 2 });
  expect(await found([[first, another, second]], 1)).toEqual([]);
});

test("what the contract takes for no offence ends no watch", async () => {
  const { node, world } = stage;
  const { contracts: addresses, modelId, chainId, fromBlock } = world;
  const { stakes } = await deposited(parseEther("2"));
  const connection = await connect({ rpcUrl: node.url, chainId });
  const looking = (heard: readonly Awaited<ReturnType<typeof verdict>>[]) =>
    createOffenceWatch(
      { connection, addresses, modelId, fromBlock },
      {
        stakes,
        members: async () => ({ inForce: [asAddress(liar.address)], before: [] }),
        heard: async () => [heard],
        write: async (name) => name,
      },
    ).look();
  const over = { runId: keyOf("nobody's run") as never };
  expect(await looking([await verdict(0n, over), await verdict(10_000n, over)])).toEqual([]);
  expect(await looking([await verdict(0n), await verdict(10_000n)])).toMatchObject([{ amount: parseEther("1") }]);
});
