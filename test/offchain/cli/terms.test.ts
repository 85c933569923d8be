/** `cotrain terms` on a real node: which licences and terms a model's shares name, and what holders are asked before they name others. */
import { contractUriOf, modelContractsOf, setContractUri } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { expect, test } from "vitest";

import { MODEL_URI } from "../../../offchain/src/localnet/contracts.ts";
import { execute, type ShownCall, staged, told } from "./staged.ts";
import { cotrainHere, refusal, verdictOf } from "./support.ts";

const stage = staged([]);
const at = () => ["--state", stage.state];
const uri = "ipfs://bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

interface Shown {
  readonly title: string;
  readonly uri: string;
  readonly replaces: string;
  readonly call: ShownCall & { readonly words: string };
}
const asked = (named: string) => told<Shown>("terms", "propose", named, "--dry-run", ...at());
const shown = async (): Promise<string> => (await cotrainHere(["terms", "show", ...at()])).stdout;
async function sharesHere(): Promise<Hex> {
  const { contracts: addresses, modelId } = stage.world;
  return (await modelContractsOf(stage.client, { addresses, modelId })).shares;
}

test("holders are asked in words whether other terms are named, and they are as they were told", async () => {
  expect(await shown()).toMatch(/^terms +none are named$/m);
  const shares = await sharesHere();
  const { title, call, ...rest } = await asked(uri);
  expect(title).toBe(`licences and terms: ${uri}`);
  expect(rest).toMatchObject({ uri, replaces: "" });
  expect(call.words).toBe(
    `ModelShares ${shares} names "${uri}" as the model's licences and terms, in the place of "".`,
  );
  await stage.asHolders((account) => execute(stage.client, account, call));
  expect(await contractUriOf(stage.client, { shares })).toBe(uri);
  expect(await shown()).toMatch(new RegExp(`^terms +${uri}$`, "m"));
  expect(await told("terms", "show", ...at())).toMatchObject({ uri });

  const next = await asked("https://example.org/licence");
  expect(next.call.words).toContain(`, in the place of "${uri}".`);
  expect(verdictOf(await cotrainHere(["terms", "propose", uri, "--dry-run", ...at()]))).toEqual(
    refusal(1, "All that is asked for is in force"),
  );
});

test.each([
  ["a name", "licence"],
  ["words", "https://example.org/the licence"],
  ["what is no ASCII", "https://example.org/\u202eecnecil"],
  ["what is long", `https://example.org/${"a".repeat(2_000)}`],
])("terms are named by no %s", async (_, named) => {
  expect(verdictOf(await cotrainHere(["terms", "propose", named, "--dry-run", ...at()]))).toEqual(
    refusal(1, "Licences and terms are named by a URI of at most 2000 characters of ASCII without spaces"),
  );
});

test("what stands in the URI itself is shown in words, and acts on no terminal", async () => {
  const shares = await sharesHere();
  const named = async (uri: string): Promise<string> => {
    const { to: target, data } = setContractUri.call({ shares, uri });
    await stage.asHolders((account) => execute(stage.client, account, { target, data }));
    return (await shown()).replaceAll(/\s+/g, " ");
  };
  // A new model is registered with it: no string of one may be longer.
  expect(new TextEncoder().encode(MODEL_URI).length).toBeLessThanOrEqual(256);
  expect(await named(MODEL_URI)).toContain(
    "description Shares are votes on this model, no legal claim. Its organiser has chosen no licence for its code and weights.",
  );
  expect(await told("terms", "show", ...at())).toMatchObject({ uri: MODEL_URI, says: { name: "Cotrain Model" } });
  const coded = JSON.stringify({ name: 7, description: "red \u001b[31m" });
  const hostile = await named(`data:application/json;base64,${Buffer.from(coded).toString("base64")}`);
  expect(hostile).toContain("description red");
  expect(hostile).not.toContain("\u001b");
  const long = `data:application/json,${JSON.stringify({ description: "a".repeat(4_000) })}`;
  for (const none of ["data:application/json,{", "data:application/json,null", "data:application/json,[]", long])
    expect(await named(none)).not.toMatch(/ description [^:]/);
});

test("what whoever created a model wrote there acts on no terminal, and is shown as far as it is readable", async () => {
  const shares = await sharesHere();
  const { to: target, data } = setContractUri.call({
    shares,
    uri: `https://example.org/\u001b[2J${"a".repeat(5_000)}`,
  });
  await stage.asHolders((account) => execute(stage.client, account, { target, data }));
  const lines = await shown();
  expect(lines).not.toContain("\u001b");
  expect(lines.length).toBeLessThan(4_800);
});
