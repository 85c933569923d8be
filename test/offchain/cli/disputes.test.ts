/** `cotrain disputes` on a real node, and the vote on a dispute: from its cost in words to the bond that comes back. */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { bondOf, disputeOf, pendingRoot } from "@cotrain/sdk/actions";
import { type Hex, structHash } from "@cotrain/sdk/protocol";
import { formatEther, getAddress, sha256, stringToHex } from "viem";
import { afterAll, beforeAll, expect, test } from "vitest";

import { hadDispute } from "../../../offchain/src/cli/up/disputed.ts";
import { settleLater } from "../chain/settle.ts";
import { type Holders, openHolders } from "./holders.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

let holders: Holders;
beforeAll(async () => (holders = await openHolders()), 120_000);
afterAll(() => holders.close());

const at = () => ["--state", holders.state];
const pins = () => [
  `--run=${holders.world.runId}`,
  `--deployment=${join(holders.state, "deployment.json")}`,
  `--rpc=${holders.world.url}`,
];
const keys = (name = "worker-1") => [
  `--wallet=${join(holders.state, "keys", `${name}.json`)}`,
  `--passphrase-file=${join(holders.state, "keys", "passphrase")}`,
];
const elsewhere = () => ["--coordinator=http://127.0.0.1:1", ...pins(), ...keys(), "--state", temporaryDirectory()];
const root = () => pendingRoot(holders.client, { addresses: holders.world.contracts, modelId: holders.world.modelId });
const bond = () => bondOf(holders.client, { addresses: holders.world.contracts, modelId: holders.world.modelId });
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");

/** Goes on to a second of the chain, which stands between blocks. */
async function goTo(timestamp: number): Promise<void> {
  await holders.client.setNextBlockTimestamp({ timestamp: BigInt(timestamp) });
  await holders.client.mine({ blocks: 1 });
}

interface Listed {
  readonly disputes: readonly {
    readonly root: number;
    readonly kind: string;
    readonly state: string;
    readonly leaning: string | null;
    readonly canBeSettled: boolean;
    readonly evidence: string | null;
    readonly proposalId: string;
    readonly snapshot: number;
    readonly deadline: number;
    readonly bond: string;
  }[];
  readonly credits: readonly { readonly account: string; readonly amount: string }[];
}
async function listed(...flags: readonly string[]): Promise<Listed> {
  const { code, stdout, stderr } = await cotrainHere(["disputes", "list", ...at(), ...flags, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Listed;
}

test("where no root is in its window, nothing can be disputed, settled or fetched", async () => {
  expect((await cotrainHere(["disputes", "list", ...at()])).stdout).toBe(
    "No root of this model was ever disputed, and no checkpoint taken back.\n",
  );
  expect(verdictOf(await cotrainHere(["disputes", "open", ...at()]))).toEqual(
    refusal(1, "No root of compute is in its window"),
  );
  expect(verdictOf(await cotrainHere(["disputes", "settle", ...at()]))).toEqual(
    refusal(1, "No dispute of this model about a root of compute is open"),
  );
  expect((await cotrainHere(["disputes", "withdraw", ...at()])).stdout).toBe("No bond has coins to fetch.\n");
});

test("a root is disputed for a bond, holders vote it false, and the bond comes back", async () => {
  const { world, client, wallets } = holders;
  const signed = await settleLater({ url: world.url, directory: temporaryDirectory() }, world, "second");
  const digest = structHash("Attestation", signed);
  expect((await root())!.digest).toBe(digest);
  const { bond: due } = await bond();

  const shown = await cotrainHere(["disputes", "open", ...at()]);
  expect(shown.code).toBe(0);
  expect(flat(shown.stdout)).toContain(`puts up a bond of ${formatEther(due)} coins, against root 2 of compute`);
  expect(flat(shown.stdout)).toContain("if a quorum finds that it stands, all of the bond is lost");
  expect(shown.stdout).toContain("Nothing was sent: --yes disputes it.");
  expect((await root())!.activatableAt).toBeDefined();

  for (const [flags, sentence] of [
    [["--yes", "--bond-at-most", "0.001"], "--bond-at-most allows 0.001"],
    [["--yes", "--digest", `0x${"1d".repeat(32)}`], "look at it before you dispute it"],
    [["--yes", "--evidence", "nowhere.json"], "nowhere.json"],
  ] as const) {
    const refused = await cotrainHere(["disputes", "open", ...at(), ...flags]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(sentence);
  }
  // Whom the wallet pays is no coordinator's word.
  const telling = [`--coordinator=${await tellingCoordinator(world, client)}`, `--rpc=${world.url}`, ...keys()];
  const unpinned = await cotrainHere(["disputes", "open", "--yes", ...telling, "--state", temporaryDirectory()]);
  expect(unpinned).toMatchObject({ code: 1, stderr: expect.stringContaining("is the coordinator's word alone") });
  expect((await root())!.activatableAt).toBeDefined();

  const evidence = join(temporaryDirectory(), "found.json");
  writeFileSync(evidence, "what was found");
  const meant = ["--digest", digest, "--evidence", evidence];
  const opened = await cotrainHere(["disputes", "open", "--yes", "--json", ...meant, "--max-fee=1", ...elsewhere()]);
  expect(opened).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(opened.stdout)).toMatchObject({
    root: 2,
    bond: String(due),
    evidence: sha256(stringToHex("what was found")),
    transaction: expect.stringMatching(/^0x\w{64}$/),
  });
  expect((await root())!.activatableAt).toBeUndefined();
  expect(verdictOf(await cotrainHere(["disputes", "open", "--yes", ...at()]))).toEqual(
    refusal(1, "Root 2 is disputed already"),
  );

  // So that every later session tells where it stands.
  const call = (work: (reading: typeof client) => unknown) => work(client);
  const prepared = { connection: { call }, addresses: world.contracts, modelId: world.modelId, fromBlock: 0 };
  expect(await hadDispute(prepared as unknown as Parameters<typeof hadDispute>[0])).toBe(true);

  const [dispute] = (await listed("--last", "1")).disputes;
  const { proposalId, snapshot, deadline } = dispute!;
  expect(dispute).toMatchObject({ state: "open", root: 2, kind: "compute", leaning: "undecided", canBeSettled: false });
  expect(flat((await cotrainHere(["disputes", "list", ...at()])).stdout)).toContain("dispute about root 2 of compute");
  expect(verdictOf(await cotrainHere(["disputes", "settle", ...at()]))).toEqual(
    refusal(75, `Holders vote on the dispute about attestation ${digest} until`),
  );

  await goTo(snapshot + 1);
  const dry = await cotrainHere(["vote", proposalId, "against", "--dry-run", ...at()]);
  expect(flat(dry.stderr)).toContain(
    "This is the vote on the dispute about root 2 of compute (kind 1) of this model, which pays for epochs",
  );
  expect(dry.stderr).not.toContain("If holders accept it");
  expect(await cotrainHere(["vote", proposalId, "against", ...at()])).toMatchObject({ code: 0 });
  const proposals = flat((await cotrainHere(["proposals", "list", ...at()])).stdout);
  expect(proposals).toContain(
    "Opened by the rewards, since somebody disputes a root: This is the vote on the dispute about root 2",
  );
  expect(proposals).toContain("either side needs 10.0%");
  expect((await listed()).disputes[0]).toMatchObject({ state: "open", leaning: "void" });
  expect(flat((await cotrainHere(["disputes", "list", ...at()])).stdout)).toContain(
    "As votes stand, the root is void, and the disputer has the bond back",
  );

  await goTo(Math.max(deadline, (await listed()).disputes[0]!.deadline) + 1);
  expect((await listed()).disputes[0]).toMatchObject({ canBeSettled: true });
  const would = await cotrainHere(["disputes", "settle", "--dry-run", ...at()]);
  expect(flat(would.stdout)).toContain(
    `settled now, the dispute about attestation ${digest} ends so that its root is void`,
  );
  expect((await disputeOf(client, { addresses: world.contracts, digest }))!.endedAt).toBe(0);
  const settled = await cotrainHere(["disputes", "settle", "--max-fee=1", ...elsewhere(), "--json"]);
  expect(JSON.parse(settled.stdout)).toMatchObject({ digest, ruling: "void" });
  expect(await root()).toBeUndefined();
  expect((await listed()).disputes[0]).toMatchObject({ state: "void", leaning: null });

  const credit = { account: getAddress(wallets["worker-1"]!), amount: String(due) };
  expect((await listed()).credits).toEqual([credit]);
  const account = ["--account", wallets["worker-1"]!];
  const preview = await cotrainHere(["disputes", "withdraw", "--dry-run", ...account, ...at(), "--json"]);
  expect(JSON.parse(preview.stdout)).toEqual([{ ...credit, transaction: null }]);
  // A key that several wallets of a directory have is paid once.
  const shared = join(temporaryDirectory(), "state");
  cpSync(holders.state, shared, { recursive: true });
  const file = join(shared, "run.json");
  const run = JSON.parse(readFileSync(file, "utf8")) as { wallets: Record<string, string> };
  run.wallets["worker-2"] = run.wallets["worker-1"]!;
  writeFileSync(file, JSON.stringify(run));
  const once = await cotrainHere(["disputes", "withdraw", "--dry-run", "--state", shared, "--json"]);
  expect(JSON.parse(once.stdout)).toEqual([{ ...credit, transaction: null }]);
  const before = await client.getBalance({ address: wallets["worker-1"]! });
  // Somebody else pays the gas.
  const other = ["--coordinator=http://127.0.0.1:1", ...pins(), ...keys("worker-2"), "--state", temporaryDirectory()];
  const fetched = await cotrainHere(["disputes", "withdraw", ...account, ...other, "--max-fee=1", "--json"]);
  expect(JSON.parse(fetched.stdout)).toMatchObject([{ ...credit, transaction: expect.stringMatching(/^0x/) as Hex }]);
  expect((await client.getBalance({ address: wallets["worker-1"]! })) - before).toBe(due);
  expect((await listed()).credits).toEqual([]);
});
