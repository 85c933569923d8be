/** Founders' shares, on a real node: what `cotrain code`, `shares` and `verify` say of them, and what they are asked for by. */
import type { Hex } from "@cotrain/sdk/protocol";
import { getAddress } from "viem";
import { describe, expect, test } from "vitest";

import { foundedBy, foundersOf } from "../../../offchain/src/localnet/founders.ts";
import { profileFor } from "../../../deploy/deployment.ts";
import { accountOf } from "../chain/world.ts";
import { execute, type ShownCall, staged, told } from "./staged.ts";
import { cotrainHere, refusal, verdictOf } from "./support.ts";

const [ada, bert] = [accountOf("ada").address, accountOf("bert").address];
const share = 10n ** 18n;
const stage = staged(["ada"], { founders: foundersOf([`${ada}=3000`, `${bert}=1000.5`]) });
const at = () => ["--state", stage.state];

interface Listed {
  readonly id: Hex;
  readonly author: Hex;
  readonly founder: boolean;
  readonly commit: string | null;
  readonly due: string;
}
const listed = () => told<Listed[]>("code", "list", ...at());

describe("founders' shares", () => {
  test("stand among the grants, and are told as nobody's work", async () => {
    const all = await listed();
    expect(all).toMatchObject([
      { author: ada, founder: true, commit: null, repository: null, amount: String(3_000n * share), due: "0" },
      { author: bert, founder: true, commit: null, amount: String((10_005n * share) / 10n), due: "0" },
    ]);
    const { stdout } = await cotrainHere(["code", "list", ...at()]);
    expect(stdout.match(/ founder /g)).toHaveLength(2);
    const [first] = all;
    const { stdout: shown } = await cotrainHere(["code", "show", first!.id, ...at()]);
    expect(shown).toMatch(new RegExp(`^founder +${getAddress(ada)}$`, "m"));
    expect(shown).toMatch(/^minted +when the model was created, in 0x/m);
    expect(shown).not.toMatch(/^(commit|repository) /m);
    expect(verdictOf(await cotrainHere(["code", "show", first!.id, ...at(), "--clone", "."]))).toEqual(
      refusal(1, "is a founder's and names no commit: leave --clone out."),
    );
  });

  test("are in what shares tells, and in what verify tells", async () => {
    const { founders, waiting } = await told<{ founders: string; waiting: { inGrants: string } }>(
      "shares",
      "--address",
      ada,
      ...at(),
    );
    expect([founders, waiting.inGrants]).toEqual([String((40_005n * share) / 10n), String((40_005n * share) / 10n)]);
    const page = (await cotrainHere(["shares", "--address", ada, ...at()])).stdout;
    expect(page).toMatch(/^founders +4,000\.5 +when the model was created$/m);
    expect(page.replaceAll(/\s+/g, " ")).toContain("What was minted for founders CodeGrants pays them over time");
    const verified = await cotrainHere(["verify", ...at()]);
    expect(verified.stdout.replaceAll(/\s+/g, " ")).toContain(
      "4,000.5 shares were minted for the founders when the model was created",
    );
    expect(verified.stdout.replaceAll(/\s+/g, " ")).not.toContain("The contracts obey whom they should");
    // Whose bootstrap is over needs no word on its organiser.
    expect(verified.stdout).not.toContain("in bootstrap");
    expect(await told("status", ...at())).toMatchObject({ bootstrap: null, inherited: [] });
  });

  test("are paid after their first year, and the holders may end them", async () => {
    const [first, second] = await listed();
    const { timestamp } = await stage.client.getBlock();
    await stage.client.setNextBlockTimestamp({ timestamp: timestamp + 2n * 365n * 86_400n });
    await stage.client.mine({ blocks: 1 });
    expect(BigInt((await listed())[0]!.due) / share).toBe(1_500n);
    const claimed = await told<{ author: Hex; amount: string }>(
      "code",
      "claim",
      first!.id,
      ...at(),
      ...stage.by("ada"),
    );
    expect(claimed.author).toBe(ada);
    expect(BigInt(claimed.amount) / share).toBe(1_500n);
    const { title, call } = await told<{ title: string; call: ShownCall }>(
      "code",
      "revoke",
      second!.id,
      ...at(),
      "--dry-run",
    );
    expect(title).toContain(`grant of a founder revoked: ${second!.id} to ${getAddress(bert)}`);
    await stage.asHolders((timelock) => execute(stage.client, timelock, call));
    expect(BigInt((await listed())[1]!.due) / share).toBe(500n);
    // What was burned of it is taken off what was minted.
    const { burned, founders, supply } = await told<Record<"burned" | "founders" | "supply", string>>(
      "shares",
      "--address",
      ada,
      ...at(),
    );
    expect(BigInt(burned) / share).toBe(500n);
    expect(BigInt(supply)).toBe(BigInt(founders) - BigInt(burned));
  });
});

describe("what is asked for", () => {
  const { model } = profileFor("local", 31_337);

  test("is nobody, unless somebody is named", () => {
    expect(foundersOf(undefined)).toBeUndefined();
    expect(model.founders.list).toEqual([]);
    expect(foundedBy(undefined, model)).toBe(model);
  });

  test("is added to the cap, so that the first year's epochs keep their budget", () => {
    const founders = foundersOf([`${ada}=3`, `${bert}=0.5`])!;
    expect(founders.list).toEqual([
      { account: ada, amount: 3n * share },
      { account: bert, amount: share / 2n },
    ]);
    expect(foundedBy(founders, model).yearlyCap - model.yearlyCap).toBe((7n * share) / 2n);
  });

  test.each([
    ["an address with another casing", `${ada.slice(0, -1)}${ada.endsWith("A") ? "a" : "A"}=1`],
    ["no shares", `${ada}=0`],
  ])("is not %s", (_, word) => {
    expect(() => foundersOf([word])).toThrow("--founders");
  });

  test("is nobody twice", () => {
    expect(() => foundersOf([`${ada}=1`, `${ada.toLowerCase()}=2`])).toThrow("names an address twice");
  });
});
