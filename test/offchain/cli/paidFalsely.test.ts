/** A false root that nobody disputed and that has paid: each command that looks at a run says so. */
import { activateRoot, pendingRoot } from "@cotrain/sdk/actions";
import { asAddress, type Attestation, rewardKind, structHash } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";

import { formatAddress, formatSharesExactly } from "../../../offchain/src/base/index.ts";
import { rewardTreeOf } from "../../../offchain/src/run/index.ts";
import { payingFirst, withLeaves } from "../chain/attested.ts";
import { pass, settleLater } from "../chain/settle.ts";
import { accountOf, poster, validators } from "../chain/world.ts";
import { type Holders, openHolders } from "./holders.ts";
import { mirrorOf } from "./mirror.ts";
import { postRevenue } from "./revenueStage.ts";
import { staged } from "./staged.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";

let holders: Holders;
beforeAll(async () => (holders = await openHolders()), 120_000);
afterAll(() => holders.close());

const here = () => ["--state", holders.state];
const READ = "An active root cannot be disputed, and pays whoever claims.";

/** A command's words on one line, however they were wrapped, and how it ended. */
async function said(...argv: readonly string[]): Promise<{ readonly code: number | null; readonly words: string }> {
  const { code, stdout } = await cotrainHere(argv);
  return { code, words: stdout.replaceAll(/\s+/g, " ") };
}
/** Whether who verifies and who watches find the run sound. */
async function sound(): Promise<boolean[]> {
  const found: boolean[] = [];
  for (const command of [["verify"], ["watch", "--once"]]) {
    const { code, stdout } = await cotrainHere([...command, "--json", ...here()]);
    const told = JSON.parse(stdout) as { readonly sound: boolean; readonly falseRoots: readonly unknown[] };
    expect({ code, false: told.falseRoots.length }).toEqual(told.sound ? { code: 0, false: 0 } : { code: 1, false: 1 });
    found.push(told.sound);
  }
  return found;
}

interface Row {
  readonly account: string;
  readonly falsely: readonly { readonly root: number; readonly granted: string; readonly due: string }[];
}
const rows = async (): Promise<Row[]> =>
  JSON.parse((await cotrainHere(["rewards", "list", "--json", ...here()])).stdout) as Row[];

/** A round of the two wallets' workers, and a root that pays the first of them next to nothing, active. */
async function payFalsely(): Promise<{ readonly attestation: Attestation; readonly due: bigint; readonly of: string }> {
  const { world, client } = holders;
  let [due, of] = [0n, ""];
  const place = { url: world.url, directory: temporaryDirectory() };
  const attestation = await settleLater(place, world, "second", {}, (computation) => {
    const [first] = computation.rewards.leaves;
    [due, of] = [BigInt(first!.amount), formatAddress(asAddress(first!.account))];
    return withLeaves(computation, payingFirst(1n));
  });
  await pass(world, 4);
  const sent = { addresses: world.contracts, attestation, account: poster, pollingInterval: 20 };
  await activateRoot.sync(client, sent);
  return { attestation, due, of };
}

test("of a false root that has paid all say so: whom it grants what, who signed it, and what is left to do", async () => {
  expect(await sound()).toEqual([true, true]);
  const { attestation, due, of } = await payFalsely();
  expect(await sound()).toEqual([false, false]);

  const digest = structHash("Attestation", attestation);
  const name = `attestation ${digest}) is false, and active: it pays`;
  const less = `${of} is granted ${formatSharesExactly(due - 1n)} less than was due`;
  const signers = validators.map(({ address }) => formatAddress(asAddress(address)));
  for (const command of [["verify"], ["watch", "--once"]]) {
    const { code, words } = await said(...command, ...here());
    expect(code).toBe(1);
    expect(words).toContain("FAIL Root 2 (epoch");
    expect(words).toContain(name);
    expect(words).toContain(less);
    const named = /Signed by ([^.]*)\./.exec(words)![1]!.split(", ");
    expect(signers).toEqual(expect.arrayContaining(named));
    expect(new Set(named).size).toBe(2);
    expect(words).toContain(READ);
    // Nobody is sent to dispute what is nobody's to dispute.
    expect(words).not.toContain("can be disputed inside its window");
  }
  const listed = await said("rewards", "list", ...here());
  expect(listed.code).toBe(0);
  expect(listed.words).toContain(name);
  const wronged = (await rows()).find(({ account }) => account === of);
  expect(wronged?.falsely).toEqual([{ root: 2, granted: "1", due: String(due) }]);
  expect((await rows()).filter(({ falsely }) => falsely.length > 0)).toHaveLength(1);
});

const stage = staged(["stranger"]);

test("a false root of revenue that is active is told by who watches", async () => {
  const far = [...stage.pins(), `--mirrors=${await mirrorOf(stage.world)}`];
  expect(await said("watch", "--once", ...far)).toMatchObject({ code: 0 });
  let forged: Attestation | undefined;
  await postRevenue(stage, ({ struct, computation }) => {
    const leaves = [{ account: asAddress(accountOf("thief").address), amount: struct.total.toString() }];
    return (forged = { ...struct, root: rewardTreeOf({ ...computation.rewards, leaves }).root });
  });
  const { contracts: addresses, modelId } = stage.world;
  const { activatableAt } = (await pendingRoot(stage.client, { addresses, modelId, kind: rewardKind.revenue }))!;
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(activatableAt!) });
  await stage.client.mine({ blocks: 1 });
  await activateRoot.sync(stage.client, { addresses, attestation: forged!, account: poster, pollingInterval: 20 });
  const { code, words } = await said("watch", "--once", ...far);
  expect(code).toBe(1);
  expect(words).toContain("FAIL Root 1 of revenue (");
  expect(words).toContain("what it sets aside is to be shared out otherwise");
  expect(words).toContain("Signed by 0x");
  expect(words).toContain(READ);
});
