import { existsSync } from "node:fs";

import { approveGrant, grantOf } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { countOf, formatAddress, systemClock, timeText, UserError, wrap } from "../../base/index.ts";
import { shellWord } from "../../base/node/index.ts";
import {
  type ApprovedGrant,
  beginGrant,
  capsRefusal,
  commitOf,
  type GrantDraft,
  type GrantFacts,
  grantFacts,
  grantsOfCommit,
  headCommitOf,
  namedWallet,
  readGrant,
  writeGrant,
} from "../../run/index.ts";
import { account, duration, text, toggle } from "../../service/index.ts";
import { sharesOf } from "../amounts.ts";
import { defineCommand } from "../command.ts";
import { requireGiven } from "../missing.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, type Place, placeOptions, signingOptions, unpinnedNotice } from "../place.ts";
import { decidingAt } from "../proposing.ts";
import { type Passed, passedText, passOn, type Quorum, signedRow } from "../quorum.ts";
import { type GrantVote, votesOnCommit } from "./granted.ts";

const DAY = 86_400_000;

/** What is signed, and by how many. @param others what the same commit was granted before @param votes on it that are open */
function factsOf(
  { id, struct, repository, description, signatures }: GrantDraft,
  facts: GrantFacts,
  others: readonly ApprovedGrant[],
  votes: readonly GrantVote[] = [],
): string[] {
  const { threshold, chainId, grants, setVersion } = facts;
  const vetoed = setVersion === 0 ? "" : ", and not before the holders' veto is over";
  const from = Number(struct.start) + struct.cliff;
  return factTable(
    [
      ["grant", id],
      ["model", struct.modelId],
      ["contract", `${formatAddress(grants)} on chain ${chainId}`],
      ["author", formatAddress(struct.author)],
      ["repository", repository],
      ["commit", commitOf(struct.commit)],
      ["what it is", description.replaceAll(/\s+/g, " ")],
      ["amount", `${formatEther(struct.amount)} shares`],
      [
        "paid",
        `from ${timeText(from)} to ${timeText(Number(struct.start) + struct.duration)}, linearly since ${timeText(Number(struct.start))}${vetoed}`,
      ],
      ["approved", `until ${timeText(Number(struct.deadline))}`],
      ...(setVersion === 0 ? [] : [signedRow({ signatures }, threshold, "maintainer")]),
      ...others.map(
        (other) =>
          [
            "beside it",
            `the same commit has grant ${other.id} of ${formatEther(other.state.amount)} shares for ${formatAddress(other.terms.author)}`,
          ] as const,
      ),
      ...votes.map(({ words }) => ["voted on", words] as const),
    ],
    columnsOf(process.stdout),
  );
}

/** What `--json` has of a grant's terms. */
export const termsDocument = (
  file: string,
  draft: GrantDraft,
  { chainId, grants }: GrantFacts,
  others: readonly ApprovedGrant[],
) => ({
  file,
  id: draft.id,
  modelId: draft.struct.modelId,
  chainId,
  contract: grants,
  author: draft.struct.author,
  repository: draft.repository,
  description: draft.description,
  commit: commitOf(draft.struct.commit),
  amount: draft.struct.amount,
  start: draft.struct.start,
  cliff: draft.struct.cliff,
  duration: draft.struct.duration,
  deadline: draft.struct.deadline,
  others: others.map((other) => ({ id: other.id, author: other.terms.author, amount: other.state.amount })),
});

const documentOf = (
  file: string,
  draft: GrantDraft,
  facts: GrantFacts,
  {
    others,
    approved = false,
    transaction = null,
  }: { readonly others: readonly ApprovedGrant[]; readonly approved?: boolean; readonly transaction?: Hex | null },
) => ({
  ...termsDocument(file, draft, facts, others),
  signers: [...draft.signatures.keys()],
  threshold: facts.threshold,
  approved,
  transaction,
});

/** @throws UserError `MAINTAINERS_NONE` */
function requireMaintainers({ setVersion, modelId }: GrantFacts): void {
  if (setVersion !== 0) return;
  throw new UserError(
    "MAINTAINERS_NONE",
    `Model ${modelId} has no maintainers: its holders choose them ("npx cotrain maintainers propose"), or approve a grant themselves ("npx cotrain code approve-by-vote").`,
  );
}

/** A grant with signatures is not replaced. @throws UserError `FILE_EXISTS` */
function requireNew(file: string): void {
  if (existsSync(file)) throw new UserError("FILE_EXISTS", `${file} exists: name another file.`);
}

/** `cotrain code propose`. */
export const codeProposeCommand = defineCommand({
  name: "code propose",
  summary: "ask a model's maintainers to have an author paid for a commit",
  args: [{ name: "file", description: "the grant, which goes from maintainer to maintainer; made by this command" }],
  options: {
    ...placeOptions,
    author: account({ description: "who is paid" }),
    repository: text({ value: "url", description: "URL of the repository" }),
    commit: text({ value: "id", description: "the commit, by its whole id (default: where the clone stands)" }),
    clone: text({ value: "directory", description: "a clone that stands at the commit", default: "." }),
    description: text({ description: "what was contributed, for those who approve and for the holders" }),
    amount: text({ value: "shares", description: "what is paid in all, such as 12.5" }),
    cliff: duration({ description: "after the start, before which nothing is paid", default: 0 }),
    duration: duration({ description: "after the start, within which all is paid, linearly", default: 90 * DAY }),
    within: duration({ description: "how long it may be approved", default: 30 * DAY }),
  },
  examples: [
    [
      'npx cotrain code propose grant.json --author 0x00000000000000000000000000000000000000aa --repository https://example.org/tools.git --amount 12.5 --description "A faster loader"',
      "for the commit where this directory's clone stands",
    ],
  ],
  notes: [
    "Nothing is sent: the file is handed to the maintainers, who sign with cotrain code approve, or put to the holders with cotrain code approve-by-vote, as it must be where there are no maintainers. The start is now.",
  ],
  async run({ args: [file = ""], options, output }) {
    const { author, repository, description, amount } = requireGiven("A grant", "GRANT_TERMS", {
      author: options.author,
      repository: options.repository,
      description: options.description,
      amount: options.amount,
    });
    const shares = sharesOf(amount);
    requireNew(file);
    const commit = options.commit ?? (await headCommitOf(options.clone));
    const { draft, facts, others, refused } = await atPlace(options, undefined, async (place) => {
      const facts = await grantFacts(place, systemClock);
      const draft = beginGrant(facts, {
        author,
        repository,
        commit,
        description,
        amount: shares,
        cliff: Math.floor(options.cliff / 1_000),
        duration: Math.floor(options.duration / 1_000),
        within: Math.floor(options.within / 1_000),
      });
      const refused = facts.setVersion === 0 ? undefined : await capsRefusal(place, facts, draft.struct);
      return { draft, facts, others: (await grantsOfCommit(place, draft)).others, refused };
    });
    await writeGrant(file, draft);
    const again = others.length === 0 ? "" : " --again";
    output.result({ ...documentOf(file, draft, facts, { others }), refused: refused?.message ?? null }, [
      ...factsOf(draft, facts, others),
      ...wrap(
        facts.setVersion === 0
          ? `Written to ${file}: the model has no maintainers, so put it to the holders with "npx cotrain code approve-by-vote ${shellWord(file)}${again}".`
          : refused
            ? `Written to ${file}, which maintainers could not have approved now: ${refused.message} "npx cotrain code approve-by-vote ${shellWord(file)}${again}" puts it to the holders.`
            : `Written to ${file}: hand it to the maintainers, who sign it with "npx cotrain code approve ${shellWord(file)}${again}".`,
        columnsOf(process.stdout),
      ),
    ]);
  },
});

/** @throws UserError `GRANT_MISSING`; what reading it throws */
export async function requireGrant(
  file: string,
  facts: GrantFacts,
  by: Parameters<typeof readGrant>[2],
): Promise<GrantDraft> {
  const draft = await readGrant(file, facts, by);
  if (draft) return draft;
  throw new UserError("GRANT_MISSING", `There is no file ${file}: "npx cotrain code propose" writes one.`);
}

/** Whoever pays twice for one commit means to. @throws UserError `GRANT_AGAIN` */
export function requireOnce({ struct }: GrantDraft, others: readonly ApprovedGrant[]): void {
  const [first] = others;
  if (!first) return;
  throw new UserError(
    "GRANT_AGAIN",
    `Commit ${commitOf(struct.commit)} has ${countOf(others.length, "grant")} already, such as ${first.id} of ${formatEther(first.state.amount)} shares: with --again it is granted once more.`,
  );
}

/** Who signs and sends it. */
const quorumOf = (
  { connection }: Place,
  { grants, maintainers, threshold }: GrantFacts,
): Quorum<"Grant", GrantDraft> => ({
  name: "Grant",
  signer: "maintainer",
  wallets: "a maintainer's keystore",
  members: maintainers,
  threshold,
  write: writeGrant,
  send: async (client, { id, struct: grant, repository }, signatures) => {
    const call = { grants, grant, repository, signatures };
    try {
      await approveGrant.simulate(client, call);
      return (await approveGrant.sync(client, call)).receipt.transactionHash;
    } catch (error) {
      // Anybody may send what is signed: where these very terms are approved by now, that is what was asked for.
      const { modelId } = grant;
      if (await connection.call((reading) => grantOf(reading, { grants, modelId, id }))) return null;
      throw error;
    }
  },
});

/** What is there of a grant that somebody approves. */
interface Approval {
  readonly facts: GrantFacts;
  readonly draft: GrantDraft;
  readonly others: readonly ApprovedGrant[];
  /** What holders are asked about the same commit. */
  readonly votes: readonly GrantVote[];
  /** The same terms, which were approved before. */
  readonly same?: ApprovedGrant;
  readonly passed?: Passed<GrantDraft>;
  /** Why the caps of maintainers do not let it be sent now, in a sentence. */
  readonly refused?: string | undefined;
}

function approvalText(file: string, approval: Approval): string {
  const { facts, draft, others, same, passed, refused } = approval;
  const { grants, threshold } = facts;
  if (same) return `Grant ${same.id} was approved before, in ${same.transaction}: nothing was signed or sent.`;
  const again = others.length > 0 ? " The same commit was granted before: it takes --again beside --yes." : "";
  if (passed && passed.kind !== "sent")
    return `${passedText(file, passed, { signer: "maintainer", threshold }, "", refused)}${again}`;
  const minted = `${formatEther(draft.struct.amount)} shares were minted and lie in ${grants} until they are due`;
  return passed?.transaction
    ? `Approved in ${passed.transaction}: ${minted}.`
    : `Somebody else sent it first: ${minted}.`;
}

/** `cotrain code approve`. */
export const codeApproveCommand = defineCommand({
  name: "code approve",
  summary: "sign a grant as a maintainer, and have it minted once a quorum has signed",
  args: [{ name: "file", description: "the grant, as code propose wrote it" }],
  options: {
    ...signingOptions,
    yes: toggle({ description: "sign it, and send it where that completes the quorum", default: false }),
    again: toggle({ description: "also where the same commit was granted before", default: false }),
  },
  examples: [
    ["npx cotrain code approve grant.json", "what every maintainer would sign"],
    [
      "npx cotrain code approve grant.json --yes --wallet maintainer.json --passphrase-file passphrase",
      "signed by this keystore's maintainer, and sent where that completes the quorum",
    ],
  ],
  notes: [
    "Without --yes it shows what would be signed. Look at the commit before you sign. The amount is minted from the model's code budgets at once; nothing of it is paid before the holders' veto is over.",
  ],
  async run({ args: [file = ""], options, output }) {
    const own = await namedWallet(options);
    const approval = await atPlace(
      options,
      own,
      async (place): Promise<Approval> => {
        const facts = await grantFacts(place, systemClock);
        requireMaintainers(facts);
        const draft = await requireGrant(file, facts, "maintainers");
        const { same, others } = await grantsOfCommit(place, draft);
        if (same) return { facts, draft, others, votes: [], same };
        const votes = await votesOnCommit(await decidingAt(place), draft.struct.commit);
        if (options.yes && !options.again) requireOnce(draft, others);
        const passed = await passOn(place, file, draft, quorumOf(place, facts), options);
        const refused = options.yes ? undefined : (await capsRefusal(place, facts, draft.struct))?.message;
        return { facts, draft: passed.statement, others, votes, passed, refused };
      },
      unpinnedNotice(options, output),
    );
    const { facts, draft, others, votes, same, passed, refused = null } = approval;
    const sent = passed?.kind === "sent";
    const outcome = {
      others,
      approved: same !== undefined || sent,
      transaction: sent ? passed.transaction : null,
    };
    const voted = votes.map(({ proposalId, state }) => ({ proposalId, state }));
    output.result({ ...documentOf(file, draft, facts, outcome), votes: voted, refused }, [
      ...factsOf(draft, facts, others, votes),
      ...wrap(approvalText(file, approval), columnsOf(process.stdout)),
    ]);
  },
});
