/** `cotrain validators consent` on a real node: who may be taken into the next set of validators. */
import { join } from "node:path";

import { hasConsented, newestSetVersion, setValidators } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { accountOf, validators } from "../chain/world.ts";
import { keystoreOf, staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const stage = staged(["validator-1", "stranger"]);
const { by } = stage;
const at = () => ["--state", stage.state];

type Told = readonly {
  readonly account: Hex;
  readonly member: boolean;
  readonly consents: boolean;
  readonly transaction: Hex | null;
}[];
const consent = (name: string, ...flags: readonly string[]) =>
  told<Told>("validators", "consent", ...at(), ...by(name), ...flags);
const textOf = async (name: string, ...flags: readonly string[]) => {
  const { stdout } = await cotrainHere(["validators", "consent", ...at(), ...by(name), ...flags]);
  return stdout.replaceAll(/\s+/g, " ").trim();
};
const saidBy = (name: string) => {
  const { contracts: addresses, modelId } = stage.world;
  return hasConsented(stage.client, { addresses, modelId, account: accountOf(name).address });
};

describe("a consent", () => {
  test("is shown, and sent with --yes", async () => {
    expect(await textOf("stranger")).toMatch(
      /^0x\w{40} consents to nothing; with --yes it consents to be a validator\.$/,
    );
    expect(await saidBy("stranger")).toBe(false);
    const [sent] = await consent("stranger", "--yes");
    expect(sent).toMatchObject({ member: false, consents: true, transaction: expect.stringMatching(/^0x/) });
    expect(await saidBy("stranger")).toBe(true);
    expect(await consent("stranger", "--yes")).toMatchObject([{ consents: true, transaction: null }]);
  });

  test("is taken back as long as no set has the wallet, and used up by one that has", async () => {
    await consent("stranger", "--yes");
    await consent("stranger", "--withdraw", "--yes");
    expect(await saidBy("stranger")).toBe(false);
    await consent("stranger", "--yes");
    const { contracts: addresses, modelId } = stage.world;
    await stage.client.increaseTime({ seconds: 20 });
    const replaces = await newestSetVersion(stage.client, { addresses, modelId });
    const members = [...validators.slice(1).map(({ address }) => address), accountOf("stranger").address].sort((a, b) =>
      a.toLowerCase() < b.toLowerCase() ? -1 : 1,
    );
    await stage.asHolders((account) =>
      setValidators.sync(stage.client, {
        addresses,
        modelId,
        replaces,
        validators: members,
        threshold: 2,
        account,
        pollingInterval: 20,
      }),
    );
    expect(await saidBy("stranger")).toBe(false);
    expect(await textOf("stranger", "--yes")).toContain(
      "in the newest set of validators: there is nothing to consent to",
    );
  });

  test("needs nobody who is in the set, nor who has no wallet here", async () => {
    expect(await consent("validator-1", "--yes")).toMatchObject([{ member: true, transaction: null }]);
    expect(verdictOf(await cotrainHere(["validators", "consent", ...at(), "--yes"]))).toEqual(
      refusal(1, "There is no validator's wallet here"),
    );
  });

  test("is given in somebody else's run by the wallet of the validator's directory, for a bounded fee", async () => {
    const url = await tellingCoordinator(stage.world, stage.client);
    const directory = temporaryDirectory();
    await keystoreOf("stranger", {
      keystore: join(directory, "wallet.json"),
      passphrase: join(directory, "passphrase"),
    });
    const pins = ["--run", stage.world.runId, "--deployment", join(stage.state, "deployment.json")];
    const there = ["validators", "consent", "--yes", "--state", directory, "--rpc", stage.node.url];
    await stage.client.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 12n });
    await stage.client.mine({ blocks: 1 });
    expect(verdictOf(await cotrainHere([...there, ...pins, "--max-fee", "0.000001"])).code).toBe(75);
    expect(await saidBy("stranger")).toBe(false);
    expect(await told<Told>(...there, "--coordinator", url, "--max-fee", "10")).toMatchObject([{ consents: true }]);
    expect(await saidBy("stranger")).toBe(true);
  });
});
