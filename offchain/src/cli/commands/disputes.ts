import { formatEther } from "viem";

import { formatAddress, shortAddress, shortHex, timeText, wrap } from "../../base/index.ts";
import { bondCredits, type Dispute, kindText, leaning, newestDisputes } from "../../run/index.ts";
import { integer } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, placeOptions } from "../place.ts";
import { decidingAt } from "../proposing.ts";
import { votesText } from "../voting.ts";

/** What became of a dispute, or would as its votes stand. */
const endings: Readonly<Record<Exclude<Dispute["state"], "open">, string>> = {
  stands: "the root stands, and the disputer loses the bond",
  void: "the root is void, and the disputer has the bond back with half of the other's",
  undecided: "nothing is decided: the root is refused, too, and both bonds lose a fifth",
};

/** What comes next for a dispute that is open. @param now chain seconds */
function nextText({ standing, rulableUntil, proposalId }: Dispute, now: number): string {
  const { snapshot, deadline } = standing;
  const ruling =
    rulableUntil !== undefined && now <= rulableUntil
      ? ` The model is in its bootstrap, so that its organiser may end it, too, until ${timeText(rulableUntil)}.`
      : "";
  if (now > deadline)
    return `Its vote ended ${timeText(deadline)}: ${endings[leaning(standing)]}, once anybody settles it ("npx cotrain disputes settle").`;
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

const documentOf = (dispute: Dispute, now: number) => {
  const { kind, index, digest, evidence, disputer, bond, proposalId, rulableUntil, state, won, burned } = dispute;
  const { standing } = dispute;
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
  };
};

/** `cotrain disputes list`. */
export const disputesListCommand = defineCommand({
  name: "disputes list",
  summary: "which roots were disputed, how their votes stand, and what comes next",
  options: { ...placeOptions, last: integer(1, 1_000, { description: "newest disputes that are shown", default: 20 }) },
  examples: [
    ["npx cotrain disputes list", "those of this directory's model, newest first, with the bonds of its wallets"],
  ],
  notes: [
    "A root is what pays for epochs. Inside its window anybody may dispute it for a bond; then holders vote on whether it stands, and nothing of its epochs is paid until that has ended.",
  ],
  async run({ options, output }) {
    const { disputes, credits, now } = await atPlace(
      options,
      undefined,
      async (at) => {
        const place = await decidingAt(at);
        return {
          disputes: await newestDisputes(place, options.last),
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
    output.result({ disputes: disputes.map((dispute) => documentOf(dispute, now)), credits }, [
      ...(disputes.length === 0
        ? ["No root of this model was ever disputed."]
        : disputes.flatMap((dispute) => linesOf(dispute, now))),
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
