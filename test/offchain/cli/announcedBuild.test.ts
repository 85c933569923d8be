/** How the organiser of a young model admits a build for a device of its machine: proven, announced, and a window later carried out. */
import { admitBuild, isAdmitted } from "@cotrain/sdk/actions";
import { asDigest, type Build, canonicalJson, digestOfJson, type Hex } from "@cotrain/sdk/protocol";
import { beforeAll, expect, test } from "vitest";

import { buildPrograms, presets } from "../../../offchain/src/engine/index.ts";
import { openLocalRun } from "../../../offchain/src/run/index.ts";
import { putDocument } from "../../../offchain/src/storage/index.ts";
import { keepOrganiser } from "./organiser.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const stage = staged([], { young: true });
const { model, microBatch } = presets["0.1m"];
const { step } = buildPrograms(model, { microBatch });
const first: Build = {
  version: 1,
  definition: digestOfJson("definition"),
  graphs: { step: step.digest, eval: step.digest, logits: step.digest },
  microBatch,
  precision: "fp32",
  runtime: "another",
  deviceClass: "exact-x86",
  segmentSteps: 32,
  conformance: digestOfJson("value of another"),
};

beforeAll(() => keepOrganiser(stage.keys));

interface Announced {
  readonly digest: Hex;
  readonly build: Build;
  readonly step: string;
  readonly readyAt: number | null;
  readonly transaction: string | null;
}

test("its document is put among what the coordinator serves, and nowhere else it is announced", async () => {
  const { contracts: addresses, runId } = stage.world;
  const { blobs } = await openLocalRun(stage.state);
  await blobs.put(step.bytes);
  const build = await putDocument(blobs, first);
  await stage.asHolders((account) =>
    admitBuild.sync(stage.client, { addresses, runId, build, admitted: true, account, pollingInterval: 20 }),
  );
  await stage.client.setBlockTimestampInterval({ interval: 1 });
  const line = ["builds", "propose", "--device", "wasm", "--steps", "3", "--announce"];
  const here = ["--state", stage.state];

  const rehearsed = await told<Announced>(...line, "--dry-run", ...here);
  expect(rehearsed).toMatchObject({ step: "announce", transaction: null });
  const digest = asDigest(rehearsed.digest);
  expect(await blobs.size(digest)).toBeUndefined();

  const coordinator = await tellingCoordinator(stage.world, stage.client);
  const elsewhere = await cotrainHere([
    ...line,
    `--coordinator=${coordinator}`,
    ...stage.pins(),
    ...stage.by("organiser"),
  ]);
  expect(elsewhere.stderr.replaceAll(/\s+/g, " ")).toContain("announce it in the directory whose coordinator serves");

  const by = [...here, ...stage.by("organiser")];
  const announced = await told<Announced>(...line, ...by);
  expect(announced).toMatchObject({ step: "announce", digest, transaction: expect.any(String) });
  expect(digestOfJson(announced.build)).toBe(digest);
  expect(await blobs.size(digest)).toBe(canonicalJson(announced.build).length);
  expect(await isAdmitted(stage.client, { addresses, runId, build: digest })).toBe(false);

  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(announced.readyAt!) });
  await stage.client.mine({ blocks: 1 });
  expect(await told<Announced>(...line, ...by)).toMatchObject({ step: "carryOut", digest });
  expect(await isAdmitted(stage.client, { addresses, runId, build: digest })).toBe(true);
}, 300_000);
