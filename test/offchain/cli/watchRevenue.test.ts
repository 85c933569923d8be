/** `cotrain watch` and roots of revenue: a false one is told and disputed, within its own bounds and beside those of compute. */

import { disputeOf } from "@cotrain/sdk/actions";
import { asAddress, type Hex } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import { rewardTreeOf } from "../../../offchain/src/run/index.ts";
import { accountOf } from "../chain/world.ts";
import { mirrorOf } from "./mirror.ts";
import { postRevenue } from "./revenueStage.ts";
import { staged } from "./staged.ts";
import { cotrainHere } from "./support.ts";

const stage = staged(["stranger"]);
const thief = asAddress(accountOf("thief").address);

interface Seen {
  readonly sound: boolean;
  readonly root: { readonly state: string };
  readonly revenue: { readonly root: { readonly state: string; readonly digest?: Hex; readonly why?: string } };
  readonly false: readonly { readonly digest: Hex }[];
}

/** Posts a root of what a customer paid, all of which goes to a thief. @returns the digest of what was signed */
const postFalse = () =>
  postRevenue(stage, ({ struct, computation }) => {
    const leaves = [{ account: thief, amount: struct.total.toString() }];
    return { ...struct, root: rewardTreeOf({ ...computation.rewards, leaves }).root };
  });

test("a false root of revenue is told, and disputed where that is allowed", async () => {
  // Time stands between blocks, however long a command takes.
  await stage.client.setBlockTimestampInterval({ interval: 1 });
  const far = [...stage.pins(), `--mirrors=${await mirrorOf(stage.world)}`];
  const once = async (...flags: readonly string[]): Promise<Seen> => {
    const { code, stdout, stderr } = await cotrainHere(["watch", "--once", "--json", ...far, ...flags]);
    const seen = JSON.parse(stdout) as Seen;
    expect(stderr).toBe("");
    expect(code).toBe(seen.sound ? (seen.revenue.root.state === "suspect" ? 75 : 0) : 1);
    return seen;
  };
  expect(await once()).toMatchObject({ sound: true, root: { state: "idle" }, revenue: { root: { state: "idle" } } });

  const digest = await postFalse();
  const idle = { state: "idle" };
  expect(await once()).toMatchObject({ sound: true, root: idle, revenue: { root: { state: "suspect", digest } } });
  await stage.client.mine({ blocks: 1 });
  const why = "no wallet is named (--wallet and --passphrase-file)";
  expect(await once()).toMatchObject({ sound: false, revenue: { root: { state: "reported", digest, why } } });
  const { stdout } = await cotrainHere(["watch", "--once", ...far]);
  expect(stdout).toContain(`FAIL   Root 1 of revenue (attestation ${digest}) is to be disputed, and nothing was sent:`);

  const seen = await once(...stage.by("stranger"), "--yes");
  expect(seen).toMatchObject({ root: idle, revenue: { root: { state: "disputed" } }, false: [{ digest }] });
  const addresses = stage.world.contracts;
  expect(await disputeOf(stage.client, { addresses, digest })).toMatchObject({
    disputer: accountOf("stranger").address,
  });
  expect(await once()).toMatchObject({
    sound: false,
    root: idle,
    revenue: { root: { state: "open", digest, found: "false" } },
  });
});
