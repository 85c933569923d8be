/** `cotrain disputes` about roots of revenue and about checkpoints, on a real node: all in one table, whatever it is about. */
import { join } from "node:path";

import { disputeOf, setPoster } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { beforeAll, expect, test } from "vitest";

import { accountOf, poster } from "../chain/world.ts";
import { keepOrganiser } from "./organiser.ts";
import { postTexts } from "./postTexts.ts";
import { postRevenue } from "./revenueStage.ts";
import { execute, type ShownCall, staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const stage = staged(["stranger", "validator-1", "validator-2"], { young: true });
const { by } = stage;
const at = () => ["--state", stage.state];
const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
const ofRevenue = ["--kind", "revenue"];
const short = (hex: string): string => `${hex.slice(0, 6)}…${hex.slice(-4)}`;

beforeAll(async () => {
  await keepOrganiser(stage.keys);
});

interface Listed {
  readonly disputes: readonly {
    readonly kind: string;
    readonly root: number;
    readonly digest: Hex;
    readonly state: string;
    readonly deadline: number;
    readonly transaction: Hex;
  }[];
  readonly checkpoints: readonly Record<string, unknown>[];
}
const listed = (...flags: readonly string[]) => told<Listed>("disputes", "list", ...at(), ...flags);
const lines = async () => (await cotrainHere(["disputes", "list", ...at()])).stdout.split("\n");
const disputes = (...argv: readonly string[]) => cotrainHere(["disputes", ...argv, ...at(), ...by("stranger")]);
const dispute = (digest: Hex) => disputeOf(stage.client, { addresses: stage.world.contracts, digest });

/** Disputes a root of revenue. @returns the digest of what was signed */
async function disputed(): Promise<Hex> {
  // Time stands between blocks, however long a command takes.
  await stage.client.setBlockTimestampInterval({ interval: 1 });
  const digest = await postRevenue(stage);
  expect((await disputes("open", "--yes", ...ofRevenue)).code).toBe(0);
  return digest;
}

test("a root of revenue is disputed for its own bond, listed, and settled when its vote is over", async () => {
  await stage.client.setBlockTimestampInterval({ interval: 1 });
  const digest = await postRevenue(stage);
  expect(verdictOf(await disputes("open"))).toEqual(refusal(1, "No root of compute is in its window"));
  const asked = await disputes("open", ...ofRevenue);
  expect(flat(asked.stdout)).toContain(
    `puts up a bond of 0.01 coins, against root 1 of revenue (attestation ${digest}), which sets aside 1.5 `,
  );
  expect(await dispute(digest)).toBeUndefined();
  expect(verdictOf(await disputes("settle", ...ofRevenue))).toEqual(
    refusal(1, "No dispute of this model about a root of revenue is open"),
  );
  expect(JSON.parse((await disputes("open", "--yes", "--json", ...ofRevenue)).stdout)).toMatchObject({
    kind: "revenue",
    root: 1,
    digest,
  });
  expect(await dispute(digest)).toMatchObject({ disputer: accountOf("stranger").address });

  const { disputes: found, checkpoints } = await listed();
  expect(found).toMatchObject([{ kind: "revenue", root: 1, digest, state: "open" }]);
  expect(checkpoints).toEqual([]);
  const { blockNumber } = await stage.client.getTransactionReceipt({ hash: found[0]!.transaction });
  expect((await lines()).slice(0, 3)).toEqual([
    expect.stringMatching(/^about +block +by +bond +how it stands$/),
    expect.stringMatching(
      new RegExp(
        `^root 1 of revenue +${blockNumber} +${short(accountOf("stranger").address)} +0.01 +open, undecided as votes stand$`,
      ),
    ),
    "dispute about root 1 of revenue",
  ]);

  // That of compute is another one, and there is none.
  expect(verdictOf(await disputes("settle"))).toEqual(
    refusal(1, "No dispute of this model about a root of compute is open"),
  );
  expect(verdictOf(await disputes("settle", ...ofRevenue))).toEqual(
    refusal(75, `Holders vote on the dispute about attestation ${digest} until`),
  );
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(found[0]!.deadline + 1) });
  await stage.client.mine({ blocks: 1 });
  expect(flat((await lines()).join("\n"))).toContain('("npx cotrain disputes settle --kind revenue")');
  expect((await disputes("settle", ...ofRevenue)).code).toBe(0);
  expect(await dispute(digest)).toMatchObject({ outcome: 3 });
  expect((await listed()).disputes).toMatchObject([{ kind: "revenue", state: "undecided" }]);
  // The next of revenue costs twice as much, and of compute as much as before.
  expect((await cotrainHere(["disputes", "bond", ...at()])).stdout).toContain(
    "costs 0.01 coins about a root of compute, and 0.02 coins (doubled once, since roots before were disputed) about one of revenue.",
  );
});

const rule = (...flags: readonly string[]) =>
  cotrainHere(["disputes", "rule", "refused", ...at(), ...by("organiser"), ...flags]);

test("the organiser rules on a root of revenue in the bootstrap", async () => {
  const digest = await disputed();
  expect(verdictOf(await rule("--yes"))).toEqual(
    refusal(1, "No dispute of this model about a root of compute is open: there is nothing to rule on."),
  );
  expect(flat((await rule(...ofRevenue)).stdout)).toContain(`It is root 1 of revenue, attestation ${digest}`);
  expect((await rule("--yes", ...ofRevenue)).code).toBe(0);
  expect(await dispute(digest)).toMatchObject({ outcome: 3, voted: false });
});

test("a poster that was suspended and a run that went back stand in the same table", async () => {
  const { contracts: addresses, runId } = stage.world;
  await disputed();
  const head = await postTexts(stage, "one", "two", "false");
  const file = join(temporaryDirectory(), "stop.json");
  for (const name of ["validator-1", "validator-2"]) await told("suspend", file, "--yes", ...at(), ...by(name));
  const of = { runId, head, round: 3 };
  const suspended = { ...of, what: "suspended", poster: poster.address, setVersion: 1, lasts: true };
  expect((await listed()).checkpoints).toMatchObject([suspended]);

  await stage.endBootstrap();
  const { call } = await told<{ call: ShownCall }>("checkpoint", "rollback", "1", ...at(), "--dry-run");
  const timelock = await stage.asHolders(async (by) => {
    await execute(stage.client, by, call);
    const other = { addresses, runId, poster: accountOf("another").address, account: by, pollingInterval: 20 };
    await setPoster.sync(stage.client, other);
    return by;
  });
  const { disputes: roots, checkpoints } = await listed();
  expect(roots).toMatchObject([{ kind: "revenue" }]);
  expect(checkpoints).toMatchObject([
    { ...of, what: "rolledBack", back: 1, by: timelock },
    { ...suspended, lasts: false },
  ]);
  // Newest first, whatever it is about.
  const [, ...rows] = await lines();
  expect(rows.slice(0, 3)).toEqual([
    expect.stringMatching(/^checkpoint 3 +\d+ +holders +– +back to checkpoint 1$/),
    expect.stringMatching(/^checkpoint 3 +\d+ +validators, set 1 +– +poster was suspended$/),
    expect.stringMatching(/^root 1 of revenue +\d+ +0x\w{4}…\w{4} +0.01 +open, undecided as votes stand$/),
  ]);
  const text = flat(rows.join("\n"));
  expect(text).toContain(`By the holders' timelock the run went back from checkpoint 3, head ${head}, to checkpoint 1`);
  expect(text).toContain("Another poster was named since.");
  expect(await listed("--last", "1")).toMatchObject({ disputes: [{}], checkpoints: [{ what: "rolledBack" }] });
});
