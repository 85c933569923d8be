/** Two roots of the same epochs under one key, as a real node has them: whoever watches finds both in what posted them. */
import { depositStake, postRoot, stakeManagerOf } from "@cotrain/sdk/actions";
import { asAddress, structHash } from "@cotrain/sdk/protocol";
import { createWalletClient, getAddress, http, parseEther } from "viem";
import { beforeAll, expect, test } from "vitest";

import { openReader } from "../../../offchain/src/chain/index.ts";
import { contradictionOfFile, type ToldOffence } from "../../../offchain/src/run/index.ts";
import { signaturesUnder } from "../chain/attested.ts";
import { settleLater } from "../chain/settle.ts";
import { accountOf, keyOf, validators } from "../chain/world.ts";
import { mirrorOf } from "./mirror.ts";
import { keepOrganiser } from "./organiser.ts";
import { staged } from "./staged.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";

const stage = staged(["worker-1"], { young: true });
const { by, pins } = stage;
const at = () => ["--state", stage.state];
beforeAll(() => keepOrganiser(stage.keys));

test("two roots that one key signed for the same epochs are found, and reported by what is written down", async () => {
  const { world, client, node } = stage;
  const { contracts: addresses, modelId } = world;
  const account = accountOf("worker-1");
  await client.setBalance({ address: account.address, value: parseEther("100") });
  const wallet = createWalletClient({ account, transport: http(node.url) });
  const { url: rpcUrl, chainId, fromBlock } = world;
  const reader = await openReader({ rpcUrl, chainId, contracts: addresses, fromBlock });
  const first = await settleLater({ url: world.url, directory: temporaryDirectory() }, world, "first");
  // The first is gone at once, and the second is posted in its place before it is too late for either.
  expect((await cotrainHere(["disputes", "open", "--yes", ...at(), ...by("worker-1")])).code).toBe(0);
  expect((await cotrainHere(["disputes", "rule", "refused", "--yes", ...at(), ...by("organiser")])).code).toBe(0);
  const second = { ...first, root: keyOf("another root") };
  const signed = await signaturesUnder(world, second, validators);
  const { bond } = await reader.disputeCost(modelId);
  await postRoot.sync(wallet, {
    addresses,
    attestation: second,
    signatures: signed.toSorted((a, b) => (a.validator < b.validator ? -1 : 1)).map(({ signature }) => signature),
    bond,
  });
  expect(structHash("Attestation", second)).not.toBe(structHash("Attestation", first));

  const staker = asAddress(validators[0]!.address);
  const stakes = await stakeManagerOf(client, { addresses });
  await depositStake.sync(wallet, { stakes, modelId, role: "validator", staker, amount: parseEther("2") });

  const watching = [...pins(), `--mirrors=${await mirrorOf(world)}`];
  const once = async () => {
    const { stdout } = await cotrainHere(["watch", "--once", "--json", ...watching]);
    const { offences } = JSON.parse(stdout) as { offences: readonly ToldOffence[] };
    return offences.filter(({ validator }) => getAddress(validator) === getAddress(staker));
  };
  const [offence, ...others] = await once();
  expect(others).toEqual([]);
  expect(offence).toMatchObject({ kind: "attestations", amount: String(parseEther("1")) });
  expect(await contradictionOfFile(offence!.file!)).toMatchObject({
    pair: [{ attestation: { root: first.root } }, { attestation: { root: second.root } }],
  });
  const reported = await cotrainHere(["stake", "conflict", offence!.file!, ...at(), ...by("worker-1")]);
  expect(reported).toMatchObject({ code: 0, stderr: "" });
  expect(await once()).toEqual([]);
});
