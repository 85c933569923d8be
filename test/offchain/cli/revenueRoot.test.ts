/** `cotrain revenue attest`, `activate` and `claim` on a real node: from a customer's payment to what holders get. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { activateRoot, pendingRoot } from "@cotrain/sdk/actions";
import { asAddress, fromWire, type Hex, rewardKind } from "@cotrain/sdk/protocol";
import { getAddress } from "viem";
import { beforeEach, expect, test } from "vitest";

import { accountOf, keyOf, poster } from "../chain/world.ts";
import { capitalStage } from "./capitalStage.ts";
import { nodeAhead } from "./nodeAhead.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const buyer = asAddress(accountOf("buyer").address);
const stranger = asAddress(accountOf("stranger").address);
const stage = staged(["buyer", "stranger", "validator-1", "validator-2", "validator-3"]);
const { by } = stage;
const { nextEpoch, dollarsOf, overBy, earn } = capitalStage(stage);
const at = () => ["--state", stage.state];

let file: string;
beforeEach(() => {
  file = join(temporaryDirectory(), "revenue.json");
});

interface Told {
  readonly index: string;
  readonly toEpoch: string;
  readonly total: string;
  readonly signers: readonly string[];
  readonly transaction: Hex | null;
}
const attest = (name: string, ...flags: readonly string[]) =>
  told<Told>("revenue", "attest", file, ...at(), ...by(name), "--yes", "--first", ...flags);
const tried = async (name: string, ...flags: readonly string[]) =>
  verdictOf(await cotrainHere(["revenue", "attest", file, ...at(), ...by(name), "--first", ...flags]));
const pending = () => {
  const { contracts: addresses, modelId } = stage.world;
  return pendingRoot(stage.client, { addresses, modelId, kind: rewardKind.revenue });
};

async function passWindow(): Promise<void> {
  const { activatableAt } = (await pending())!;
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(activatableAt!) });
  await stage.client.mine({ blocks: 1 });
}

test("what a customer paid goes to the holders, by a quorum of validators who each computed it", async () => {
  await earn("1.5");
  const activate = ["revenue", "activate", ...at(), ...by("stranger")];
  expect(verdictOf(await cotrainHere(activate))).toEqual(refusal(1, "No root of revenue is posted and waits to pay."));
  const shown = await cotrainHere(["revenue", "attest", file, ...at(), ...by("validator-1")]);
  expect(shown.stdout).toMatch(/^sets aside +1\.5 TESTUSD for 1 account$/m);
  expect(existsSync(file)).toBe(false);
  expect(await attest("validator-1")).toMatchObject({ index: "1", total: "1500000", transaction: null });
  expect(await pending()).toBeUndefined();
  const sent = await attest("validator-3");
  expect(sent.signers).toHaveLength(2);
  expect(sent.transaction).toMatch(/^0x\w{64}$/);

  expect(verdictOf(await cotrainHere(activate))).toEqual(refusal(75, "Root 1 of revenue can pay from"));
  expect(await tried("validator-2", "--yes")).toEqual(refusal(1, "Root 1 of revenue is in its window"));
  await passWindow();
  const activated = await told<{ transaction: Hex }>(...activate);
  expect(activated).toMatchObject({ index: 1, total: "1500000" });
  // Somebody was first, as a coordinator is: what was asked for is so.
  expect(await told(...activate)).toMatchObject({ index: 1, total: "1500000", transaction: null });
  expect(flat((await cotrainHere(activate)).stdout)).toBe(
    `Root 1 of revenue is active already and pays 1.5 TESTUSD, since ${activated.transaction}. No other waits, and nothing was sent. `,
  );
  await told("revenue", "claim", ...at(), ...by("buyer"));
  expect(await dollarsOf(buyer)).toBe(1_500_000n);
  file = `${file}.next`;
  expect(await tried("validator-1")).toEqual(refusal(1, "No revenue of an epoch that is over is left"));
});

test("what nobody's shares earned is the treasury's, and whoever likes has it paid", async () => {
  const paid = await told<{ epoch: number }>("revenue", "deposit", "1.5", ...at(), ...by("stranger"), "--yes");
  await overBy(BigInt(paid.epoch));
  for (const name of ["validator-1", "validator-2"]) await attest(name);
  await passWindow();
  await told("revenue", "activate", ...at(), ...by("stranger"));
  const shown = await told<{ treasury: Hex }>("treasury", "show", ...at());
  expect(shown).toMatchObject({ unclaimed: { revenue: { amount: "1500000" } } });
  const { treasury } = shown;
  expect(flat((await cotrainHere(["treasury", "show", ...at()])).stdout)).toContain(
    `Nobody has claimed 1.5 TESTUSD of revenue for it yet: "npx cotrain revenue claim --account ${getAddress(treasury)}" does`,
  );
  const claim = ["revenue", "claim", "--account", treasury, ...at(), ...by("stranger")];
  expect(await told(...claim)).toMatchObject({
    claims: [{ name: "treasury", account: getAddress(treasury), amount: "1500000" }],
  });
  expect(await dollarsOf(asAddress(treasury))).toBe(1_500_000n);
  expect(await told("treasury", "show", ...at())).toMatchObject({ unclaimed: { revenue: { amount: "0" } } });
});

test("a root that the coordinator activates a moment before is no failure", async () => {
  await earn("1");
  for (const name of ["validator-1", "validator-2"]) await attest(name);
  await passWindow();
  const { attestation } = JSON.parse(readFileSync(file, "utf8")) as Document;
  const call = { addresses: stage.world.contracts, attestation: fromWire("Attestation", attestation) };
  let won: Hex | undefined;
  const rpc = await nodeAhead(stage.node.url, "eth_sendRawTransaction", async () => {
    const sync = { ...call, account: poster, pollingInterval: 20 };
    won = (await activateRoot.sync(stage.client, sync)).receipt.transactionHash;
  });
  const { code, stdout } = await cotrainHere(["revenue", "activate", ...at(), ...by("stranger"), "--rpc", rpc]);
  expect(code).toBe(0);
  expect(flat(stdout)).toContain(
    `Root 1 of revenue is active already and pays 1 TESTUSD, since ${won}. No other waits`,
  );
});

test("a second root names the first, and both are claimed at once", async () => {
  await earn("1");
  for (const round of [1, 2]) {
    file = `${file}.${round}`;
    for (const name of ["validator-1", "validator-2"]) await attest(name);
    await passWindow();
    // That one before it is active is no reason to say that this one is, where nothing could be sent.
    const rpc = await nodeAhead(stage.node.url, "eth_sendRawTransaction", () =>
      stage.client.setBalance({ address: stranger, value: 0n }),
    );
    const poor = await cotrainHere(["revenue", "activate", ...at(), ...by("stranger"), "--rpc", rpc]);
    expect(poor.code).not.toBe(0);
    expect(poor.stdout).not.toContain("active already");
    await stage.client.setBalance({ address: stranger, value: 10n ** 18n });
    await told("revenue", "activate", ...at(), ...by("stranger"));
    if (round === 2) break;
    await nextEpoch();
    const paid = await told<{ epoch: number }>("revenue", "deposit", "2", ...at(), ...by("stranger"), "--yes");
    await overBy(BigInt(paid.epoch));
  }
  expect(await told("revenue", "claim", ...at(), ...by("buyer"))).toMatchObject({ claims: [{ amount: "3000000" }] });
});

const flat = (text: string): string => text.replaceAll(/\s+/g, " ");

interface Document {
  signatures: string[];
  readonly attestation: Record<string, unknown>;
}
function change(made: (document: Document) => unknown): void {
  const document = JSON.parse(readFileSync(file, "utf8")) as Document;
  made(document);
  writeFileSync(file, JSON.stringify(document));
}

test("nobody signs what this chain does not say, whoever signed it before", async () => {
  await earn("1");
  await attest("validator-1");
  const whole = readFileSync(file, "utf8");
  for (const [field, value, words] of [
    ["total", "999999", "is not what this chain says"],
    ["root", keyOf("root"), "is not what this chain says"],
    ["epochDigest", keyOf("manifest"), "is not what this chain says"],
    ["fromEpoch", "2", "is not what this chain says"],
    ["kind", 1, "is not what this chain says"],
    ["toEpoch", "4000000000", "before epoch 4000000000 was over"],
    ["blockHash", keyOf("block"), "that is not there"],
    ["modelId", keyOf("model"), "is of another model"],
    ["deadline", String(2n ** 40n), "could be posted for too long"],
    ["deadline", "1", "could be posted until"],
  ] as const) {
    change(({ attestation }) => (attestation[field] = value));
    expect(await tried("validator-2", "--yes")).toEqual(refusal(1, words));
    writeFileSync(file, whole);
  }
  change((document) => (document.signatures = [`0x${"11".repeat(64)}1b`]));
  expect((await tried("validator-2", "--yes")).code).toBe(1);
  writeFileSync(file, whole);
  expect(await tried("stranger", "--yes")).toEqual(refusal(1, "No wallet here is in the set of validators in force"));
});

test("in somebody else's run only what is pinned is signed", async () => {
  await earn("1");
  const coordinator = await tellingCoordinator(stage.world, stage.client);
  const there = ["--coordinator", coordinator, "--rpc", stage.node.url];
  const attestAt = (name: string, ...flags: readonly string[]) =>
    cotrainHere(["revenue", "attest", file, ...by(name), "--yes", "--first", ...flags]);
  expect(verdictOf(await attestAt("validator-1", ...there))).toEqual(
    refusal(1, "name the run with --run and its contracts with --deployment"),
  );
  const pins = ["--run", stage.world.runId, "--deployment", join(stage.state, "deployment.json")];
  expect((await attestAt("validator-1", ...there, ...pins)).code).toBe(0);
  await stage.client.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 12n });
  await stage.client.mine({ blocks: 1 });
  expect((await attestAt("validator-2", ...there, ...pins, "--max-fee", "0.000001")).code).toBe(75);
  expect((await attestAt("validator-2", ...there, ...pins, "--max-fee", "10")).code).toBe(0);
  await passWindow();
  const activate = ["revenue", "activate", ...by("stranger"), ...there, ...pins];
  expect((await cotrainHere([...activate, "--max-fee", "0.000001"])).code).toBe(75);
  expect((await cotrainHere([...activate, "--max-fee", "10"])).code).toBe(0);
});
