import { disputeRoot, governorSettings } from "@cotrain/sdk/actions";
import { asDigest, type Hex, rewardKind, zeroHash } from "@cotrain/sdk/protocol";
import { formatEther, sha256 } from "viem";

import { formatAddress, formatSharesExactly, timeText, UserError, weiOf, wrap } from "../../base/index.ts";
import { readFileBounded } from "../../base/node/index.ts";
import {
  bondAtMostOption,
  disputableRoot,
  type DisputableRoot,
  kindText,
  namedWallet,
  revenueAt,
  tokenText,
} from "../../run/index.ts";
import { hash, text as textOption, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, requireEntries, signingAs, signingOptions } from "../place.ts";
import { type DecidingPlace, decidingAt } from "../proposing.ts";
import { evidenceText, kindOption } from "./disputes.ts";

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

/** Bytes of evidence that are read. */
const MOST_EVIDENCE = 64 << 20;

/** When holders vote on what is opened now, by the settings in force. */
async function voteText({ connection, governor }: DecidingPlace, now: number): Promise<string> {
  const { votingDelay, votingPeriod } = await connection.call((client) => governorSettings(client, { governor }));
  const begin = now + Number(votingDelay);
  return `from about ${timeText(begin)} to ${timeText(begin + Number(votingPeriod))}`;
}

/** What a root pays or sets aside. */
async function paysText(place: DecidingPlace, { kind, attestation: { total } }: DisputableRoot): Promise<string> {
  if (kind === rewardKind.compute) return `pays ${formatSharesExactly(total)} shares`;
  return `sets aside ${tokenText(total, (await revenueAt(place)).token)}`;
}

/** What it costs, and what may become of it. */
function riskText(
  who: string,
  root: DisputableRoot,
  evidence: Hex,
  { pays, votes, isYoung }: { readonly pays: string; readonly votes: string; readonly isYoung: boolean },
): string {
  const { kind, index, digest, attestation, until, bond, level, backing } = root;
  const [fifth, won] = [(bond + 4n) / 5n, backing / 2n];
  const row =
    level === 0 ? "" : `, doubled ${level === 1 ? "once" : `${level} times`} since roots before it were disputed`;
  const gain = won === 0n ? "" : ` and ${formatEther(won)} coins of the poster's bond`;
  return `${who} puts up a bond of ${formatEther(bond)} coins${row}, against root ${index} of ${kindText(kind)} (attestation ${digest}), which ${pays} for epochs ${attestation.fromEpoch} to ${attestation.toEpoch} and can be disputed until ${timeText(until)}, ${evidenceText(evidence)}. Holders vote on it ${votes}, and nothing of these epochs is paid until then. If a quorum of them finds the root false, the bond comes back${gain}; if a quorum finds that it stands, all of the bond is lost; without a quorum on either side ${formatEther(fifth)} coins are lost, and the root is refused, too.${isYoung ? " While the model is in bootstrap its organiser may decide in their place." : ""}`;
}

/** sha256 of a file, or nothing. */
const evidenceOf = async (file: string | undefined): Promise<Hex> =>
  file === undefined ? zeroHash : sha256(await readFileBounded(file, MOST_EVIDENCE));

/** `cotrain disputes open`. */
export const disputesOpenCommand = defineCommand({
  name: "disputes open",
  summary: "dispute the root that is in its window, for a bond",
  options: {
    ...signingOptions,
    kind: kindOption,
    digest: hash({
      value: "digest",
      description: "the attestation that is meant (default: whichever is in its window)",
    }),
    evidence: textOption({
      value: "file",
      description: "what was found; its sha256 stands beside the dispute, and publishing it is yours to do",
    }),
    bondAtMost: {
      ...bondAtMostOption,
      description: "coins that the bond may take; where it is dearer nothing is sent",
    },
    yes: toggle({ description: "dispute it; without it, it is only said what that would be", default: false }),
  },
  examples: [
    ["npx cotrain disputes open", "says what a dispute would cost, and what may become of it; sends nothing"],
    ["npx cotrain disputes open --evidence report.json --yes", "paid by the first wallet of this directory"],
    ["npx cotrain disputes open --kind revenue", "likewise, of the root that shares revenue out"],
  ],
  notes: [
    "Recompute before you dispute: npx cotrain watch --once says whether the root holds. A checkpoint that is wrong where no validator drew it makes no root false: holders take the run back (npx cotrain checkpoint rollback). In somebody else's run name it with --run and its contracts with --deployment: the wallet pays whom these name.",
  ],
  async run({ options, output }) {
    const own = await namedWallet(options);
    const evidence = await evidenceOf(options.evidence);
    const { words, root, account, proposalId, transaction } = await atPlace(
      options,
      own,
      async (at) => {
        const place = await decidingAt(at);
        const [entry] = requireEntries(place, options);
        const root = await disputableRoot(place, rewardKind[options.kind], options.digest as Hex | undefined);
        const who = entry === undefined ? "A wallet" : formatAddress(entry.account);
        const told = {
          pays: await paysText(place, root),
          votes: await voteText(place, root.now),
          isYoung: (await place.reader.bootstrap(place.modelId)) !== undefined,
        };
        const words = riskText(who, root, evidence, told);
        const nothing = { words, root, account: entry?.account ?? null, proposalId: null, transaction: null };
        if (!options.yes || !entry) return nothing;
        if (!place.pinned)
          throw new UserError(
            "DISPUTE_UNPINNED",
            "Whom the wallet would pay is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
          );
        const most = weiOf(options.bondAtMost);
        if (root.bond > most)
          throw new UserError(
            "DISPUTE_DEAR",
            `Nothing was sent: the bond is ${formatEther(root.bond)} coins, and --bond-at-most allows ${formatEther(most)}.`,
          );
        if (!output.json) output.notice(words);
        const client = await signingAs(place, entry, options);
        const { addresses, modelId } = place;
        const { kind, digest, bond } = root;
        const call = { addresses, modelId, kind, digest, evidence: asDigest(evidence), bond };
        await disputeRoot.simulate(client, call);
        const { receipt, event } = await disputeRoot.sync(client, call);
        return { ...nothing, proposalId: event.proposalId, transaction: receipt.transactionHash };
      },
      undefined,
      { ticking: true },
    );
    const { index, digest, bond, level, backing, until } = root;
    output.result(
      {
        kind: options.kind,
        root: index,
        digest,
        evidence: BigInt(evidence) === 0n ? null : evidence,
        account,
        bond,
        level,
        backing,
        until,
        proposalId,
        transaction,
      },
      proposalId === null
        ? [...told(words), "Nothing was sent: --yes disputes it."]
        : told(
            `Root ${index} is disputed, in ${transaction}, and the vote on it is proposal ${proposalId}. "npx cotrain disputes list" shows how it stands.`,
          ),
    );
  },
});
