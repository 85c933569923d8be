import { admitBuild } from "@cotrain/sdk/actions";
import { asDigest, buildTitle, type Digest, type Hex } from "@cotrain/sdk/protocol";

import { shortAddress, timeText, UserError, wrap } from "../../base/index.ts";
import { deviceNames, programLimits } from "../../engine/index.ts";
import { deviceOf, devices, requireDevice } from "../../engine/runtime/node/index.ts";
import {
  admission,
  classInBuild,
  namedWallet,
  openLocalRun,
  problemOfBuild,
  proveBuild,
  type ProvenBuild,
  readBuilds,
  valuesOn,
} from "../../run/index.ts";
import { choice, integer, text, toggle } from "../../service/index.ts";
import { putDocument } from "../../storage/index.ts";
import { announcementText, announceOrCarryOut, announcingOptions } from "../announcing.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, type Output } from "../output.ts";
import {
  atPlace,
  type Place,
  type PlaceFlags,
  placeOptions,
  requireEntries,
  signingOptions,
  unpinnedNotice,
} from "../place.ts";
import { decidingAt, type DecidingPlace, proposerOf, putToHolders, sentText } from "../proposing.ts";

/**
 * Builds that were ever admitted, with the names of the devices that they are for: those of this machine that compute their values
 * where that is to be checked, else those of their class.
 */
async function listed(place: Place, check: boolean) {
  const computed = new Map<Digest, ReadonlyMap<string, Hex>>();
  const rows = [];
  for (const { document, ...build } of await readBuilds(place)) {
    const problem = check && document ? await problemOfBuild(place, document) : "";
    const known = Object.values(devices);
    let fitting = document ? known.filter((device) => classInBuild(device) === document.deviceClass) : [];
    if (check && document) {
      const step = asDigest(document.graphs.step);
      const read = () => place.blobs.blob(place.runId, step, programLimits.bytes);
      // Where products are in fp16, a processor is not meant.
      const meant = known.filter(({ exact }) => document.precision === "fp32" || !exact);
      const values = computed.get(step) ?? (await valuesOn(meant, await read()));
      computed.set(step, values);
      fitting = known.filter(({ name }) => problem === "" && values.get(name) === document.conformance);
    }
    rows.push({ ...build, document: document ?? null, devices: fitting.map(({ name }) => name), problem });
  }
  return rows;
}

/** `cotrain builds list`. */
export const buildsListCommand = defineCommand({
  name: "builds list",
  summary: "builds of a run: which kinds of device it admits, and which of this machine's are among them",
  options: {
    ...placeOptions,
    check: toggle({
      description:
        "hold each build against its programs, and compute its conformance value on each device of this machine, instead of going by classes",
      default: false,
    }),
  },
  examples: [
    ["npx cotrain builds list", "those of this directory's run"],
    [
      "npx cotrain builds list --check --coordinator https://train.example.org --rpc https://rpc.example.org",
      "those of somebody else's run, and what this machine computes of them",
    ],
  ],
  async run({ options, output }) {
    const rows = await atPlace(options, undefined, (place) => listed(place, options.check));
    const forWhom = ({ devices: names, problem }: (typeof rows)[number]): string => {
      const all = names.join(", ");
      if (problem !== "") return `it is not what it says: ${problem}`;
      if (options.check) return `${all || "no device"} of this machine computes its value`;
      return `by its class for ${all || "no device that this version knows"}`;
    };
    const standing = ({ admitted, since }: (typeof rows)[number]): string =>
      `${admitted ? "admitted" : "withdrawn"} ${timeText(since)}`;
    output.result(
      rows,
      rows.flatMap((row) => [
        row.digest,
        ...wrap(
          row.document === null
            ? `${standing(row)}; its document cannot be had.`
            : `${buildTitle(row.document)}; ${standing(row)}; ${forWhom(row)}.`,
          columnsOf(process.stdout) - 2,
        ).map((line) => `  ${line}`),
      ]),
    );
  },
});

/** What was proven, in sentences. */
const proofText = ({ build, reference, referenceBuild, worst, bound, steps }: ProvenBuild, device: string): string =>
  `${device} computes ${build.conformance} here; over ${steps} steps its losses are within ${worst.toExponential(1)} nats per token of those on ${reference} (${bound} is allowed), which ${referenceBuild === undefined ? "computes the value of no admitted build" : `computes the value of the admitted build ${referenceBuild}`}.`;

/** What is put to the holders of a build that was proven. */
function decisionOn({ connection, addresses, runId, contracts }: DecidingPlace, { digest, build }: ProvenBuild) {
  const decision = { addresses, runId, build: digest, admitted: true, account: contracts.timelock };
  return {
    ...admission(addresses, runId, build),
    rehearse: () => connection.call((client) => admitBuild.simulate(client, decision)),
  };
}

type Device = ReturnType<typeof deviceOf>;

interface Asked {
  readonly options: PlaceFlags & {
    readonly steps: number;
    readonly precision: "fp32" | "fp16";
    readonly dryRun: boolean;
    readonly maxFee: number;
  };
  readonly output: Output;
}

async function provenAt(place: DecidingPlace, device: Device, { options, output }: Asked): Promise<ProvenBuild> {
  if (!output.json) output.notice(`Computing on ${device.name} what a build has to say …`);
  const { steps, precision } = options;
  const proven = await proveBuild(place, { builds: await readBuilds(place), device, steps, precision });
  if (!output.json) output.notice(proofText(proven, device.name));
  return proven;
}

/**
 * The same by the organiser of a young model. No proposal's text has the document then, so that it is put among what the run's
 * coordinator serves.
 * @throws UserError `BUILD_HOME`; what proving and announcing throw
 */
async function announceBuild(
  device: Device,
  own: Awaited<ReturnType<typeof namedWallet>>,
  asked: Asked,
): Promise<void> {
  const { options, output } = asked;
  const { proven, done } = await atPlace(
    options,
    own,
    async (at) => {
      const place = await decidingAt(at);
      if (place.state === undefined)
        throw new UserError(
          "BUILD_HOME",
          "What is announced has no proposal whose text would carry the build: announce it in the directory whose coordinator serves the run.",
        );
      const [entry] = options.dryRun ? [] : requireEntries(place, options);
      const proven = await provenAt(place, device, asked);
      const { calls, rehearse } = decisionOn(place, proven);
      const [call] = calls;
      if (entry) await putDocument((await openLocalRun(place.state)).blobs, proven.build);
      return { proven, done: await announceOrCarryOut(place, { call, rehearse }, entry, options) };
    },
    undefined,
    { party: "organisers", ticking: true },
  );
  const { digest, build, reference, referenceBuild = null, worst, bound, steps } = proven;
  output.result(
    { digest, build, proof: { reference, referenceBuild, worst, bound, steps }, ...done },
    wrap(announcementText(done, `build ${digest} is admitted`), columnsOf(process.stdout)),
  );
}

/** `cotrain builds propose`. */
export const buildsProposeCommand = defineCommand({
  name: "builds propose",
  summary: "make a build of a run for a device of this machine, prove it, and propose it to the holders",
  options: {
    ...signingOptions,
    device: text({
      value: "device",
      description: `what the build is for: one of ${deviceNames.join(", ")}, cuda with an index where there are several`,
    }),
    precision: choice(["fp32", "fp16"], {
      description: "of products of matrices in a step; fp16 is for GPUs with shader-f16",
      default: "fp32",
    }),
    steps: integer(3, 1_000, { description: "inner steps whose losses are compared", default: 32 }),
    dryRun: toggle({ description: "prove and simulate, and send nothing", default: false }),
    ...announcingOptions,
  },
  examples: [
    ["npx cotrain builds propose --device webgpu --dry-run", "what this machine's GPU would propose"],
    [
      "npx cotrain builds propose --device wasm --coordinator https://train.example.org --rpc https://rpc.example.org",
      "to the holders of somebody else's run, by this directory's worker",
    ],
  ],
  notes: [
    "The build has the programs of one that is admitted, and the proposal's text has its document, so that nothing is uploaded. Of several wallets the one with the most votes proposes; holders vote with vote, and proposals execute carries it out. The coordinator serves the build within a minute of its admission, and a worker on the device takes it when it starts.",
  ],
  async run({ options, output }) {
    const named = options.device;
    if (named === undefined)
      throw new UserError("DEVICE_NONE", `Say with --device what the build is for: ${deviceNames.join(", ")}.`);
    const device = deviceOf(named);
    await requireDevice([device], { auto: false });
    const own = await namedWallet(options);
    if (options.announce) return announceBuild(device, own, { options, output });
    const { proven, proposal } = await atPlace(
      options,
      own,
      async (at) => {
        const place = await decidingAt(at);
        // Who cannot propose learns that before minutes are spent.
        const proposer = await proposerOf(place, options.dryRun ? [] : requireEntries(place, options));
        const proven = await provenAt(place, device, { options, output });
        const { maxFee } = options;
        return { proven, proposal: await putToHolders(place, decisionOn(place, proven), proposer, { maxFee, output }) };
      },
      unpinnedNotice(options, output),
    );
    const columns = columnsOf(process.stdout);
    const { digest, build, reference, referenceBuild = null, worst, bound, steps } = proven;
    output.result(
      { digest, build, proof: { reference, referenceBuild, worst, bound, steps }, proposal: proposal ?? null },
      proposal === undefined
        ? wrap(`Nothing was sent: build ${digest} could be proposed.`, columns)
        : wrap(`${shortAddress(proposal.proposer)} proposed build ${digest} ${sentText(proposal)}`, columns),
    );
  },
});
