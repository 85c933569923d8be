/** `cotrain rewards post` and `activate`: anybody brings a root on that validators signed, and bears its bond where one is due. */
import { bondOf, postRoot } from "@cotrain/sdk/actions";
import { createCoordinatorClient, type Hex, rewardKind, structHash } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { formatSharesExactly, systemClock, timeText, UserError, weiOf, wrap } from "../../base/index.ts";
import { createBonds, replacementIn } from "../../chain/index.ts";
import {
  bondAtMostOption,
  kindText,
  namedWallet,
  openLocalRun,
  revenueAt,
  type QuorumRoot,
  signedRoot,
  tokenText,
} from "../../run/index.ts";
import { toggle } from "../../service/index.ts";
import { activatedText, activateWaiting } from "../activating.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, type Place, requireEntries, signingAs, signingOptions, unpinnedNotice } from "../place.ts";
import { requirePinned, signedRow } from "../quorum.ts";
import { kindOption } from "./disputes.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

/** `cotrain rewards activate`. */
export const rewardsActivateCommand = defineCommand({
  name: "rewards activate",
  summary: "have the posted root of compute pay, once its window is over; anybody may",
  options: signingOptions,
  examples: [["npx cotrain rewards activate", "sent by the first wallet of this directory"]],
  notes: [
    "A coordinator does so by itself: this is for where it is away. Where the newest root pays already, that is said, and nothing is sent. npx cotrain revenue activate does it for revenue.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const activated = await atPlace(
      options,
      own,
      (place) => activateWaiting(place, rewardKind.compute, options),
      unpinnedNotice(options, output),
      { ticking: true },
    );
    const { index, total, transaction } = activated;
    output.result(
      { index, total, transaction },
      told(activatedText(activated, rewardKind.compute, `${formatSharesExactly(total)} shares`)),
    );
  },
});

/** What becomes of the bond under it. */
const bondText = (bond: bigint): string =>
  bond === 0n
    ? "It bears no bond, and costs gas alone."
    : `The root before it did not stand, so that it bears a bond of ${formatEther(bond)} coins, which come back with its activation. Where it is disputed, all of them are lost if a quorum of holders finds it false, and ${formatEther((bond + 4n) / 5n)} without a quorum on either side: recompute it before you put them up ("npx cotrain watch" does).`;

function factsOf(kind: number, { attestation, signatures, threshold }: QuorumRoot, pays: string): string[] {
  const { index, root, fromEpoch, toEpoch, deadline } = attestation;
  return factTable(
    [
      ["root", `${index} of ${kindText(kind)}, ${root}`],
      ["epochs", `${fromEpoch} to ${toEpoch}`],
      ["pays", pays],
      ["until", timeText(Number(deadline))],
      signedRow({ signatures }, threshold),
    ],
    columnsOf(process.stdout),
  );
}

/** Sends it with the bond that is due. @throws RetryableError `BOND_TOO_HIGH`, `BOND_LACKING`, `BOND_SUCCEEDED`; what `postRoot` does */
async function sendRoot(
  place: Place,
  { attestation, signatures }: QuorumRoot,
  options: Parameters<typeof requireEntries>[1] & { readonly maxFee: number; readonly bondAtMost: number },
): Promise<Hex> {
  const { connection, reader, addresses, modelId } = place;
  const [entry] = requireEntries(place, options);
  if (!entry) throw new UserError("WALLET_MISSING", "Name a wallet that sends it with --wallet.");
  const client = await signingAs(place, entry, options);
  const bonds = createBonds({
    reader,
    clock: systemClock,
    atMost: weiOf(options.bondAtMost),
    maxFee: weiOf(options.maxFee),
    balance: () => connection.call((reading) => reading.getBalance({ address: entry.account })),
    replacedFrom: replacementIn(connection, addresses),
  });
  const bond = await bonds.due(modelId, attestation.kind);
  const call = { addresses, attestation, signatures: [...signatures.values()], bond };
  await postRoot.simulate(client, call);
  const { receipt } = await postRoot.sync(client, call);
  return receipt.transactionHash;
}

/** The coordinator that is named, or that of this directory's run. @throws UserError `COORDINATOR_MISSING` */
async function servedBy({ state }: Pick<Place, "state">, named: string | undefined): Promise<string> {
  const url = named ?? (state === undefined ? undefined : (await openLocalRun(state)).file.urls["coordinator"]);
  if (url !== undefined) return url;
  throw new UserError(
    "COORDINATOR_MISSING",
    "What validators signed is what the run's coordinator serves: name it with --coordinator.",
  );
}

/** `cotrain rewards post`. */
export const rewardsPostCommand = defineCommand({
  name: "rewards post",
  summary: "post the root that validators signed and the coordinator has not posted, with its bond; anybody may",
  options: {
    ...signingOptions,
    kind: kindOption,
    bondAtMost: {
      ...bondAtMostOption,
      description: "coins that the bond may take; where it is dearer nothing is sent",
    },
    yes: toggle({ description: "post it; without it, it is only said what that would be", default: false }),
  },
  examples: [
    ["npx cotrain rewards post", "the same of this directory's run, as its coordinator serves it"],
    [
      `npx cotrain rewards post --run 0x${"a9".repeat(32)} --deployment deployments/8453.json --rpc https://rpc.example.org --coordinator https://train.example.org --wallet me.json --passphrase-file pass`,
      "says which root that is and what bond it bears, and sends nothing; with --yes it is posted",
    ],
    [
      `npx cotrain rewards post --kind revenue --run 0x${"a9".repeat(32)} --deployment deployments/8453.json --rpc https://rpc.example.org --coordinator https://train.example.org`,
      "likewise, of the root that shares revenue out",
    ],
  ],
  notes: [
    "The coordinator serves what validators signed, and posts it itself where the bond is within its own --bond-at-most. Of what it serves only signatures of the set in force count, and the contract checks them again.",
    "After its window anybody activates it: npx cotrain rewards activate, or revenue activate.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const kind = rewardKind[options.kind];
    const { root, bond, pays, transaction } = await atPlace(options, own, async (place) => {
      requirePinned(place);
      const { connection, addresses, modelId, runId } = place;
      const served = await createCoordinatorClient(await servedBy(place, options.coordinator)).epochs(runId);
      const root = await signedRoot(place, kind, served);
      const cost = await connection.call((client) => bondOf(client, { addresses, modelId, kind }));
      const bond = cost.isDue ? cost.bond : 0n;
      const { total } = root.attestation;
      const pays =
        kind === rewardKind.compute
          ? `${formatSharesExactly(total)} shares`
          : tokenText(total, (await revenueAt(place)).token);
      if (options.yes && !output.json) output.notice(bondText(bond));
      return { root, bond, pays, transaction: options.yes ? await sendRoot(place, root, options) : null };
    });
    const { attestation, signatures, threshold } = root;
    const { index, fromEpoch, toEpoch, total, deadline } = attestation;
    output.result(
      {
        kind: options.kind,
        index,
        fromEpoch,
        toEpoch,
        root: attestation.root,
        digest: structHash("Attestation", attestation),
        total,
        bond,
        deadline,
        signers: [...signatures.keys()],
        threshold,
        transaction,
      },
      [
        ...factsOf(kind, root, pays),
        ...(transaction === null
          ? told(`${bondText(bond)} Nothing was sent: with --yes it is posted.`)
          : told(
              `Root ${index} of ${options.kind} is posted, in ${transaction}. Once its window is over, anybody has it pay: "npx cotrain ${kind === rewardKind.compute ? "rewards" : "revenue"} activate".`,
            )),
      ],
    );
  },
});
