import { rewardKind } from "@cotrain/sdk/protocol";
import { formatEther, isAddressEqual } from "viem";

import { formatAddress, shortAddress, shortHex, timeText, wrap } from "../../base/index.ts";
import {
  bondCredits,
  type Dispute,
  type HeadAct,
  kindText,
  leaning,
  newestDisputes,
  newestHeadActs,
} from "../../run/index.ts";
import { choice, integer } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, tableWithin } from "../output.ts";
import { atPlace, placeOptions } from "../place.ts";
import { type DecidingPlace, decidingAt } from "../proposing.ts";
import { votesText } from "../voting.ts";

/** Of which kind a root is that a command is about: there is one in its window of each. */
export const kindOption = choice(["compute", "revenue"] as const, {
  description: "what the root pays for",
  default: "compute",
});

/** What a line needs beside the kind, so that it is about a root of it. */
const kindFlag = (kind: number): string => (kind === rewardKind.compute ? "" : ` --kind ${kindText(kind)}`);

/** What became of a dispute, or would as its votes stand. */
const endings: Readonly<Record<Exclude<Dispute["state"], "open">, string>> = {
  stands: "the root stands, and the disputer loses the bond",
  void: "the root is void, and the disputer has the bond back, with half of the poster's where there is one",
  undecided: "nothing is decided: the root is refused, too, and each bond loses a fifth",
};

/** What comes next for a dispute that is open. @param now chain seconds */
function nextText({ kind, standing, rulableUntil, proposalId }: Dispute, now: number): string {
  const { snapshot, deadline } = standing;
  const ruling =
    rulableUntil !== undefined && now <= rulableUntil
      ? ` The model is in its bootstrap, so that its organiser may end it, too, until ${timeText(rulableUntil)}.`
      : "";
  if (now > deadline)
    return `Its vote ended ${timeText(deadline)}: ${endings[leaning(standing)]}, once anybody settles it ("npx cotrain disputes settle${kindFlag(kind)}").`;
  if (now <= snapshot) return `Holders vote after ${timeText(snapshot)} and until ${timeText(deadline)}.${ruling}`;
  return `Holders vote until ${timeText(deadline)} ("npx cotrain vote ${proposalId} for" where the root holds, "against" where it is false). As votes stand, ${endings[leaning(standing)]}.${ruling}`;
}

const stateText = (dispute: Dispute, now: number): string =>
  dispute.state === "open" ? nextText(dispute, now) : `It has ended: ${endings[dispute.state]}.`;

function linesOf(dispute: Dispute, now: number): string[] {
  const { kind, index, disputer, bond, digest, evidence, standing } = dispute;
  const found = BigInt(evidence) === 0n ? "" : ` What was found has sha256 ${evidence}.`;
  const below = [
    `Attestation ${digest}, disputed by ${formatAddress(disputer)} with a bond of ${formatEther(bond)} coins.${found}`,
    `Votes: ${votesText(standing, true)}.`,
    stateText(dispute, now),
  ];
  return [
    `dispute about root ${index} of ${kindText(kind)}`,
    ...below.flatMap((text) => wrap(text, columnsOf(process.stdout) - 2).map((line) => `  ${line}`)),
  ];
}

/** Which checkpoint a head makes, and of which run where that is not the one that was asked for. */
function checkpointText({ round, head, runId }: HeadAct, own: string): string {
  const of = runId === own ? "" : ` of run ${shortHex(runId)}`;
  return `${round === undefined ? `head ${shortHex(head)}` : `checkpoint ${round}`}${of}`;
}

const byText = ({ by }: HeadAct & { readonly what: "rolledBack" }, timelock: DecidingPlace["contracts"]["timelock"]) =>
  isAddressEqual(by, timelock) ? "the holders' timelock" : `the organiser, ${formatAddress(by)},`;

/** What was done about a head, in a few words and in a sentence. */
function actTexts(act: HeadAct, place: Pick<DecidingPlace, "contracts" | "runId">) {
  const about = checkpointText(act, place.runId);
  const { head, transaction } = act;
  if (act.what === "suspended") {
    const byOrganiser = act.setVersion === 0;
    return {
      by: byOrganiser ? "organiser" : `validators, set ${act.setVersion}`,
      stands: act.lasts ? "poster suspended" : "poster was suspended",
      sentence: `${byOrganiser ? "The organiser, in bootstrap," : `A quorum of set ${act.setVersion} of the validators`} suspended ${formatAddress(act.poster)} as the poster, for ${about}, head ${head}, in ${transaction}. ${act.lasts ? "Nothing is anchored until another poster is named." : "Another poster was named since."}`,
    };
  }
  if (act.what === "announced")
    return {
      by: "organiser",
      stands: `back to checkpoint ${act.back} announced`,
      sentence: `The organiser announced in ${transaction} to take the run back from ${about}, head ${head}, to checkpoint ${act.back}, from ${timeText(act.readyAt)} on, unless another head follows before.`,
    };
  return {
    by: isAddressEqual(act.by, place.contracts.timelock) ? "holders" : "organiser",
    stands: `back to checkpoint ${act.back}`,
    sentence: `By ${byText(act, place.contracts.timelock)} the run went back from ${about}, head ${head}, to checkpoint ${act.back}, in ${transaction}. What came after that checkpoint stands no more.`,
  };
}

const standsText = (dispute: Dispute): string =>
  dispute.state === "open" ? `open, ${leaning(dispute.standing)} as votes stand` : dispute.state;

interface Listed {
  readonly disputes: readonly Dispute[];
  readonly acts: readonly HeadAct[];
  readonly place: Pick<DecidingPlace, "contracts" | "runId">;
}

/** Roots and checkpoints in one table, newest first. */
function tableOf({ disputes, acts, place }: Listed): string[] {
  const rows = [
    ...disputes.map((dispute) => ({
      ...dispute,
      cells: [
        `root ${dispute.index} of ${kindText(dispute.kind)}`,
        String(dispute.block),
        shortAddress(dispute.disputer),
        formatEther(dispute.bond),
        standsText(dispute),
      ],
    })),
    ...acts.map((act) => {
      const { by, stands } = actTexts(act, place);
      return { ...act, cells: [checkpointText(act, place.runId), String(act.block), by, "–", stands] };
    }),
  ].toSorted((a, b) => Number(b.block - a.block) || b.logIndex - a.logIndex);
  const heads = ["about", "block", "by", "bond", "how it stands"];
  return tableWithin(columnsOf(process.stdout), [heads, ...rows.map(({ cells }) => cells)], [1, 3]);
}

function linesOfAct(act: HeadAct, place: Listed["place"]): string[] {
  const { sentence } = actTexts(act, place);
  return [
    checkpointText(act, place.runId),
    ...wrap(sentence, columnsOf(process.stdout) - 2).map((line) => `  ${line}`),
  ];
}

const documentOfAct = ({ logIndex: _logIndex, block, ...act }: HeadAct) => ({ ...act, block: Number(block) });

const documentOf = (dispute: Dispute, now: number) => {
  const { kind, index, digest, evidence, disputer, bond, proposalId, rulableUntil, state, won, burned } = dispute;
  const { standing, block, transaction } = dispute;
  return {
    kind: kindText(kind),
    root: index,
    digest,
    evidence: BigInt(evidence) === 0n ? null : evidence,
    disputer,
    bond,
    proposalId,
    rulableUntil: rulableUntil ?? null,
    state,
    votes: { for: standing.for, against: standing.against, abstain: standing.abstain },
    quorum: standing.quorum ?? null,
    snapshot: standing.snapshot,
    deadline: standing.deadline,
    leaning: state === "open" ? leaning(standing) : null,
    canBeSettled: state === "open" && now > standing.deadline,
    won,
    burned,
    block: Number(block),
    transaction,
  };
};

/** `cotrain disputes list`. */
export const disputesListCommand = defineCommand({
  name: "disputes list",
  summary: "which roots were disputed and which checkpoints taken back, how votes stand, and what comes next",
  options: {
    ...placeOptions,
    last: integer(1, 1_000, {
      description: "newest disputes that are shown, and as many of what was done about checkpoints",
      default: 20,
    }),
  },
  examples: [
    ["npx cotrain disputes list", "those of this directory's model, newest first, with the bonds of its wallets"],
  ],
  notes: [
    "A root is what pays for epochs, or shares revenue out. Inside its window anybody may dispute it for a bond; then holders vote on whether it stands, and nothing of its epochs is paid until that has ended.",
    "A checkpoint is disputed without a bond: the validators' quorum suspends who posted it, and holders take the run back.",
  ],
  async run({ options, output }) {
    const { disputes, acts, place, credits, now } = await atPlace(
      options,
      undefined,
      async (at) => {
        const place = await decidingAt(at);
        return {
          place,
          disputes: await newestDisputes(place, options.last),
          acts: await newestHeadActs(place, options.last),
          credits: await bondCredits(
            place,
            place.entries.map(({ account }) => account),
          ),
          now: Number((await place.connection.call((client) => client.getBlock())).timestamp),
        };
      },
      undefined,
      { ticking: true },
    );
    const document = {
      disputes: disputes.map((dispute) => documentOf(dispute, now)),
      checkpoints: acts.map(documentOfAct),
      credits,
    };
    output.result(document, [
      ...(disputes.length + acts.length === 0
        ? ["No root of this model was ever disputed, and no checkpoint taken back."]
        : [
            ...tableOf({ disputes, acts, place }),
            ...disputes.flatMap((dispute) => linesOf(dispute, now)),
            ...acts.flatMap((act) => linesOfAct(act, place)),
          ]),
      ...credits.map(
        ({ account, amount }) =>
          `${shortAddress(account)} has ${formatEther(amount)} coins of bonds to fetch: "npx cotrain disputes withdraw".`,
      ),
    ]);
  },
});

/** Of what was found, in half a sentence. */
export const evidenceText = (evidence: string): string =>
  BigInt(evidence) === 0n
    ? "without anything that it found"
    : `with ${shortHex(evidence)}, the sha256 of what it found`;
