/** `cotrain rewards post`: anybody posts what validators signed, with the bond that a root bears after one that did not stand. */
import { backingOf, bondCreditOf, nameSuccessor, pendingRoot, sharesOf, successionOf } from "@cotrain/sdk/actions";
import {
  asAddress,
  type Attestation,
  type EpochView,
  type Hex,
  mintedKind,
  structHash,
  toWire,
} from "@cotrain/sdk/protocol";
import { formatEther, parseEther } from "viem";
import { beforeAll, expect, test } from "vitest";

import { signaturesUnder } from "../chain/attested.ts";
import { settleLater } from "../chain/settle.ts";
import { accountOf, keyOf, validators } from "../chain/world.ts";
import { keepOrganiser } from "./organiser.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const stage = staged(["worker-1", "backer"], { young: true });
const { by } = stage;
const at = () => ["--state", stage.state];
const backer = asAddress(accountOf("backer").address);
beforeAll(() => keepOrganiser(stage.keys));

async function goTo(timestamp: number): Promise<void> {
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(timestamp) });
  await stage.client.mine({ blocks: 1 });
}

const flat = (text: string): string => text.replaceAll(/\s+/g, " ");

/** What no key has made. */
const NOBODYS = { validator: asAddress(accountOf("nobody").address), signature: `0x${"00".repeat(65)}` } as const;

/** As a coordinator publishes what these validators signed, in the order that no contract takes, and more beside it. */
async function viewOf(attestation: Attestation, signers = validators): Promise<EpochView> {
  const signed = await signaturesUnder(stage.world, attestation, signers);
  return {
    epoch: Number(attestation.toEpoch),
    manifest: attestation.epochDigest,
    attestation: toWire("Attestation", attestation),
    signatures: [NOBODYS, ...signed.toSorted((a, b) => (a.validator < b.validator ? 1 : -1))],
    state: "collecting",
    transaction: null,
  };
}

interface Posted {
  readonly index: string;
  readonly digest: Hex;
  readonly bond: string;
  readonly signers: readonly Hex[];
  readonly transaction: Hex | null;
}

test("whoever likes posts a root with its bond, and has the bond back once it pays", async () => {
  const { world, client } = stage;
  const { contracts: addresses, modelId } = world;
  for (const name of ["worker-1", "backer"])
    await client.setBalance({ address: accountOf(name).address, value: parseEther("100") });
  const first = await settleLater({ url: world.url, directory: temporaryDirectory() }, world, "first");
  const serving = async (...views: readonly EpochView[]) => {
    const coordinator = await tellingCoordinator(world, client, views);
    return ["rewards", "post", "--coordinator", coordinator, ...stage.pins(), ...by("backer")];
  };
  expect(verdictOf(await cotrainHere(await serving(await viewOf(first))))).toEqual(
    refusal(1, "Root 1 of compute is posted already"),
  );
  expect((await cotrainHere(["disputes", "open", "--yes", ...at(), ...by("worker-1")])).code).toBe(0);
  expect((await cotrainHere(["disputes", "rule", "refused", "--yes", ...at(), ...by("organiser")])).code).toBe(0);

  // What a dispute has ended is never taken again, and of what a coordinator serves only a quorum's signatures count.
  expect(verdictOf(await cotrainHere(await serving(await viewOf(first))))).toEqual(
    refusal(1, "The coordinator publishes no root 1 of compute that could be posted now."),
  );
  expect(verdictOf(await cotrainHere([...(await serving(await viewOf(first))), "--kind", "revenue"]))).toEqual(
    refusal(1, "The coordinator publishes no root 1 of revenue that could be posted now."),
  );
  const second = { ...first, root: keyOf("another root") };
  const strangers = [validators[0]!, accountOf("stranger"), accountOf("worker-1")];
  expect(verdictOf(await cotrainHere(await serving(await viewOf(second, strangers))))).toEqual(
    refusal(1, "Root 1 of compute is signed by 1 of the 2 validators that it takes."),
  );

  const others = [{ index: 2n }, { setVersion: 2 }].map((other) => viewOf({ ...second, ...other }));
  const published = await serving(await viewOf(first), await viewOf(second), ...(await Promise.all(others)));
  const shown = await told<Posted>(...published);
  expect(shown).toMatchObject({ index: "1", digest: structHash("Attestation", second), transaction: null });
  expect(shown.signers.map(asAddress)).toEqual(validators.map(({ address }) => asAddress(address)).toSorted());
  expect(BigInt(shown.bond)).toBeGreaterThan(0n);
  const words = flat((await cotrainHere(published)).stdout);
  expect(words).toContain(`it bears a bond of ${formatEther(BigInt(shown.bond))} coins, which come back`);
  expect(words).toContain("Nothing was sent: with --yes it is posted.");
  const pending = () => pendingRoot(client, { addresses, modelId });
  expect(await pending()).toBeUndefined();

  // The wallet pays no more than it allows, and none whom a coordinator names.
  expect((await cotrainHere([...published, "--yes", "--bond-at-most", "0.000001"])).code).toBe(75);
  const [coordinator] = published.slice(3);
  const unpinned = [
    "rewards",
    "post",
    "--coordinator",
    coordinator!,
    "--rpc",
    stage.node.url,
    ...by("backer"),
    "--yes",
  ];
  expect(verdictOf(await cotrainHere(unpinned))).toEqual(refusal(1, "name the run with --run and its contracts"));
  expect(await pending()).toBeUndefined();

  // Its bond would never come back where another contract distributes before its window is over.
  const before = await client.snapshot();
  const of = { addresses, modelId, kind: mintedKind.compute };
  const successor = await sharesOf(client, of);
  await stage.asHolders((account) => nameSuccessor.sync(client, { ...of, successor, account, pollingInterval: 20 }));
  await goTo((await successionOf(client, of))!.from - 4);
  const late = await cotrainHere([...published, "--yes"]);
  expect([late.code, flat(late.stderr)]).toEqual([75, expect.stringContaining("after another contract distributes")]);
  await client.revert({ id: before });

  await client.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 12n });
  await client.mine({ blocks: 1 });
  expect((await cotrainHere([...published, "--yes", "--max-fee", "0.000001"])).code).toBe(75);
  expect((await told<Posted>(...published, "--yes", "--max-fee", "10")).transaction).toMatch(/^0x\w{64}$/);
  const { digest, activatableAt } = (await pending())!;
  expect(digest).toBe(shown.digest);
  const backing = (await backingOf(client, { addresses, modelId }))!;
  expect([asAddress(backing.backer), backing.amount]).toEqual([backer, BigInt(shown.bond)]);

  await goTo(activatableAt!);
  const activate = ["rewards", "activate", ...stage.pins(), "--coordinator", coordinator!, ...by("worker-1")];
  expect((await cotrainHere([...activate, "--max-fee", "0.000001"])).code).toBe(75);
  expect((await told<{ index: number }>(...activate, "--max-fee", "10")).index).toBe(1);
  expect(await bondCreditOf(client, { addresses, account: backer })).toBe(BigInt(shown.bond));
});

test("without a coordinator nobody has what validators signed", async () => {
  expect(verdictOf(await cotrainHere(["rewards", "post", ...at(), ...by("backer")]))).toEqual(
    refusal(1, "name it with --coordinator"),
  );
});
