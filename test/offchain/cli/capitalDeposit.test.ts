/** `cotrain capital deposit` on a real node: nothing is paid but for what was shown, and no more may be taken than that. */
import { asAddress } from "@cotrain/sdk/protocol";
import { beforeEach, expect, test } from "vitest";

import { depositNow } from "../../../offchain/src/cli/commands/capitalBuy.ts";
import { accountOf } from "../chain/world.ts";
import { capitalStage } from "./capitalStage.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere, refusal, verdictOf } from "./support.ts";

const buyer = asAddress(accountOf("buyer").address);
const stage = staged(["buyer", "stranger"]);
const { placeNow, shownNow, nextEpoch } = capitalStage(stage);
beforeEach(() => nextEpoch());

const by = (name: string) => ["--state", stage.state, ...stage.by(name)];
const purchase = { amount: 1n, payer: buyer, beneficiary: buyer };
/** What signs nothing, where it is refused before. */
const nobody = undefined as never;

test("a deposit says what is for sale, and what a share costs with it", async () => {
  const asked = await cotrainHere(["capital", "deposit", "12.5", ...by("buyer")]);
  const words = asked.stdout.replaceAll(/\s+/g, " ");
  expect(words).toContain("has 150 shares for sale and has brought in 0 TESTUSD");
  expect(words).toContain("A share would now cost 0.083334 TESTUSD, this deposit included: 0.02 TESTUSD at the least");
  expect(words).toContain("with --price-at-most 0.083334 only while a share costs no more than this");
  // Less than is for sale costs what the holders ask.
  expect(await told("capital", "deposit", "3", ...by("buyer"))).toMatchObject({
    forSale: "150000000000000000000",
    cost: "20000",
    transaction: null,
  });
  await told("capital", "deposit", "3.000001", ...by("stranger"), "--yes");
  expect((await cotrainHere(["capital", "show", ...by("buyer").slice(0, 2)])).stdout).toMatch(
    /costs now +0\.020001 TESTUSD a share/,
  );
});

test.each(["price", "minimum", "forSale"] as const)("another %s than was shown is not paid for", async (term) => {
  const shown = await shownNow();
  const late = placeNow((place) => depositNow(place, nobody, { ...shown, [term]: shown[term] + 1n }, purchase));
  await expect(late).rejects.toMatchObject({ code: "CAPITAL_TERMS" });
});

test("a share that is dearer than was shown is not paid for", async () => {
  const shown = await shownNow();
  await told("capital", "deposit", "12.5", ...by("stranger"), "--yes");
  const late = placeNow((place) => depositNow(place, nobody, shown, purchase));
  await expect(late).rejects.toMatchObject({
    code: "CAPITAL_PRICE",
    message: expect.stringContaining("would now cost 0.083334 TESTUSD, and 0.02 TESTUSD is the most that was shown"),
  });
});

test("a share may cost what --price-at-most says, to the last unit", async () => {
  const deposit = ["capital", "deposit", "12.5", ...by("buyer")];
  for (const yes of [[], ["--yes"]])
    expect(verdictOf(await cotrainHere([...deposit, ...yes, "--price-at-most", "0.083333"]))).toEqual(
      refusal(1, "0.083333 TESTUSD is the most that --price-at-most allows"),
    );
  const wrong = await cotrainHere([...deposit, "--yes", "--price-at-most", "0.0833335"]);
  expect(verdictOf(wrong)).toEqual(refusal(1, "with at most 6 decimals"));
  expect(await told(...deposit, "--yes", "--price-at-most", "0.083334")).toMatchObject({ arrived: "12500000" });
});

test("what --price-at-most says holds until the deposit is sent", async () => {
  const shown = await shownNow();
  const late = placeNow((place) => depositNow(place, nobody, shown, { ...purchase, most: shown.price - 1n }));
  await expect(late).rejects.toMatchObject({ code: "CAPITAL_PRICE" });
});
