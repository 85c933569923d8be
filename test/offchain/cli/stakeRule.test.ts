/** `cotrain stake rule` on a real node: from validator to validator until a quorum has signed. */
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { depositStake, headOf, postHead, rulingOf, stakeManagerOf, stakeOf } from "@cotrain/sdk/actions";
import { asAddress, type Hex } from "@cotrain/sdk/protocol";
import { parseEther } from "viem";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";

import { accountOf, keyOf, poster, validators, workers } from "../chain/world.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const stage = staged(["validator-1", "validator-2", "validator-3", "stranger"]);
const { by } = stage;
const accused = asAddress(workers[0]!.address);
const at = () => ["--state", stage.state];
const rule = (name: string, ...flags: readonly string[]) =>
  cotrainHere(["stake", "rule", file, ...at(), ...by(name), ...flags]);
const begin = ["--worker", accused, "--checkpoint", "1"];
const verdict = async (name: string, ...flags: readonly string[]) => verdictOf(await rule(name, "--yes", ...flags));

interface Told {
  readonly worker: string;
  readonly receipt: Hex;
  readonly evidence: Hex | null;
  readonly amount: string;
  readonly deadline: string;
  readonly signers: readonly string[];
  readonly transaction: Hex | null;
  readonly vetoEnds: number | null;
}

let file: string;
let published: Awaited<ReturnType<typeof stage.world.publisher.round>>;
beforeAll(async () => {
  published = await stage.world.publisher.round();
  // The state's own: what a ruling is on is read from there.
  cpSync(join(stage.node.directory, "blobs"), join(stage.state, "blobs"), { recursive: true });
});
beforeEach(async () => {
  file = join(temporaryDirectory(), "ruling.json");
  const { contracts: addresses, runId, modelId, client: reader } = stage.world;
  const { client } = stage;
  const { head: parentHead } = await headOf(reader, { addresses, runId });
  const { fields } = published;
  const { checkpointDigest, receiptsRoot, paramsVersion } = fields;
  const link = { addresses, runId, parentHead, round: 1n, checkpointDigest, receiptsRoot, paramsVersion };
  await postHead.sync(client, { ...link, account: poster, pollingInterval: 20 });
  const stakes = await stakeManagerOf(client, { addresses });
  const staking = { stakes, modelId, role: "worker", staker: accused, amount: parseEther("10") } as const;
  await depositStake.sync(client, { ...staking, account: poster, pollingInterval: 20 });
  // From here on time stands between blocks, however long a command takes.
  await client.setBlockTimestampInterval({ interval: 1 });
});

const standing = async (receiptHash: Hex) => {
  const { contracts: addresses, modelId } = stage.world;
  const stakes = await stakeManagerOf(stage.client, { addresses });
  return rulingOf(stage.client, { stakes, modelId, worker: accused, receiptHash });
};
const stakeLeft = async () => {
  const { contracts: addresses, modelId } = stage.world;
  const stakes = await stakeManagerOf(stage.client, { addresses });
  return (await stakeOf(stage.client, { stakes, modelId, role: "worker", staker: accused })).active;
};

describe("a ruling", () => {
  test("goes from validator to validator, and who completes the quorum has it proposed for a tenth of the stake", async () => {
    const shown = await rule("validator-1", ...begin);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^takes +1 coins as things are, 10% of its stake, unless holders veto it$/m);
    expect(existsSync(file)).toBe(false);
    const evidence = join(temporaryDirectory(), "evidence.txt");
    writeFileSync(evidence, "what was found");
    const flags = [...begin, "--evidence", evidence, "--within", "2h"];
    const first = await told<Told>("stake", "rule", file, "--yes", ...at(), ...by("validator-1"), ...flags);
    const { receiptHash } = published.leaves.find(({ worker }) => worker === accused)!;
    expect(first).toMatchObject({ receipt: receiptHash, transaction: null, amount: parseEther("1").toString() });
    expect(first.signers).toEqual([accountOf("validator-1").address]);
    expect(await standing(receiptHash)).toBeUndefined();

    const second = await told<Told>("stake", "rule", file, "--yes", ...at(), ...by("validator-2"));
    expect(second).toMatchObject({ receipt: receiptHash, evidence: first.evidence, deadline: first.deadline });
    expect(await standing(receiptHash)).toMatchObject({ state: "proposed", amount: parseEther("1") });
    expect(second.vetoEnds).toBe((await standing(receiptHash))!.vetoEnds);
    // Of one receipt there is one ruling, ever.
    const again = await rule("validator-3", "--yes", "--max-fee", "1");
    expect(verdictOf(again).code).toBe(1);
    expect(await stakeLeft()).toBe(parseEther("10"));
  });
});

/** Changes the file. */
function change(
  made: (document: {
    ruling: Record<string, unknown>;
    receipt: Record<string, unknown>;
    receiptSignature: string;
  }) => unknown,
): void {
  const document = JSON.parse(readFileSync(file, "utf8")) as Parameters<typeof made>[0];
  made(document);
  writeFileSync(file, JSON.stringify(document));
}

describe("a ruling is refused", () => {
  test("that says on nobody's work, or on work that was not anchored", async () => {
    expect(await verdict("validator-1")).toEqual(
      refusal(1, "say on whose work, with --worker and --checkpoint or --head"),
    );
    expect(await verdict("validator-1", "--worker", accused, "--checkpoint", "9")).toEqual(
      refusal(1, "led to a checkpoint 9 that is anchored"),
    );
    const friend = accountOf("friend").address;
    expect(await verdict("validator-1", "--worker", friend, "--checkpoint", "1")).toEqual(
      refusal(1, "has no receipt among those of checkpoint 1"),
    );
    expect(await verdict("validator-1", ...begin, "--within", "31d")).toEqual(refusal(1, "for one second to 30 days"));
    const [, listed] = await told<readonly { readonly head: Hex }[]>("checkpoint", "list", ...at());
    const named = ["--worker", accused, "--head"];
    expect(await verdict("validator-1", ...named, keyOf("head"))).toEqual(refusal(1, "that is anchored"));
    expect(existsSync(file)).toBe(false);
    const of = await told<Told>("stake", "rule", file, ...at(), ...by("validator-1"), ...named, listed!.head);
    expect(of.receipt).toBe(published.leaves.find(({ worker }) => worker === accused)!.receiptHash);
  });

  test("to who is no validator, who signed before, and where a coordinator alone says which contracts are meant", async () => {
    expect(await verdict("stranger", ...begin)).toEqual(refusal(1, "No wallet here is in the set of validators"));
    expect((await rule("validator-1", "--yes", ...begin)).code).toBe(0);
    expect(await verdict("validator-1")).toEqual(
      refusal(
        1,
        `${validators.find(({ address }) => address === accountOf("validator-1").address)!.address} signed it before`,
      ),
    );
    expect(await verdict("validator-2", ...begin)).toEqual(refusal(1, "says already what is ruled on"));
    const url = await tellingCoordinator(stage.world, stage.client);
    const remote = ["--coordinator", url, "--rpc", stage.node.url, "--state", temporaryDirectory()];
    // Nor does it say what is shown of a ruling that somebody is about to sign.
    for (const yes of [["--yes"], []]) {
      const unpinned = await cotrainHere(["stake", "rule", file, ...yes, ...by("validator-2"), ...remote]);
      expect(verdictOf(unpinned)).toEqual(refusal(1, "name the run with --run and its contracts with --deployment"));
    }
  });

  test("whose file has another receipt, one that the accused did not sign, another set, or no time left", async () => {
    await rule("validator-1", "--yes", ...begin);
    const whole = readFileSync(file, "utf8");
    const refused = async (made: Parameters<typeof change>[0], sentence: string) => {
      writeFileSync(file, whole);
      change(made);
      expect(await verdict("validator-2")).toEqual(refusal(1, sentence));
    };
    await refused(({ receipt }) => (receipt["steps"] = 1), "has another receipt than the one that it rules on");
    await refused(
      ({ ruling }) => (ruling["accused"] = asAddress(accountOf("friend").address)),
      "has another receipt than",
    );
    await refused(({ ruling }) => (ruling["outcome"] = 2), "is no ruling against work");
    await refused(({ ruling }) => (ruling["modelId"] = keyOf("model")), "is of model");
    await refused(({ ruling }) => (ruling["setVersion"] = 2), "is signed by set 2 of the validators, but set 1");
    await refused(({ ruling }) => (ruling["deadline"] = "1"), "could be used until");
    await refused(({ ruling }) => (ruling["evidence"] = keyOf("evidence")), "who is not in the set of validators");
    const { file: receipts } = published;
    const others = receipts.receipts.find(({ receipt }) => asAddress(receipt.worker) !== accused)!.signature;
    await refused((document) => (document.receiptSignature = others), "has a receipt that the accused did not sign");
  });
});

// Last, since the node does not come back from the time that it is set to.
test("a node that says that it is next year has nobody sign a ruling for longer than was said", async () => {
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(Math.floor(Date.now() / 1_000) + 365 * 86_400) });
  await stage.client.mine({ blocks: 1 });
  const flags = [...at(), ...by("validator-1"), ...begin, "--within", "2h"];
  const { deadline } = await told<Told>("stake", "rule", file, "--yes", ...flags);
  expect(Number(deadline)).toBeLessThanOrEqual(Date.now() / 1_000 + 7_200);
});
