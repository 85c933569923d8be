import { claimGrant } from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { formatAddress, formatShares, shortAddress, timeText, UserError, wrap } from "../../base/index.ts";
import {
  type ApprovedGrant,
  approvedGrants,
  commitIn,
  commitOf,
  isFounders,
  isSameRepository,
  namedWallet,
  originOf,
} from "../../run/index.ts";
import { text } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, factTable, table } from "../output.ts";
import {
  atPlace,
  type Place,
  placeOptions,
  requireEntries,
  shownAt,
  signingAs,
  signingOptions,
  unpinnedNotice,
} from "../place.ts";

/** Where a grant stands, in a word or two. */
function standingText({ terms, state, due, unburned }: ApprovedGrant, now: number): string {
  if (unburned > 0n) return `ended with its set, ${formatShares(unburned)} shares to be burned`;
  if (state.revoked)
    return state.amount === 0n
      ? "revoked, all of it burned"
      : `revoked, ${formatShares(terms.amount - state.amount)} shares of it burned`;
  if (now < state.vetoEnds) return `may be vetoed until ${timeText(state.vetoEnds)}`;
  if (state.claimed === state.amount) return "paid";
  return due === state.amount ? "due" : "being paid";
}

const codeOf = ({ terms, repository }: ApprovedGrant) => ({
  repository,
  commit: commitOf(terms.commit),
  description: terms.description,
});
const noCode = { repository: null, commit: null, description: null };

const documentOf = (grant: ApprovedGrant) => ({
  id: grant.id,
  author: grant.terms.author,
  founder: isFounders(grant),
  ...(isFounders(grant) ? noCode : codeOf(grant)),
  ...amountsOf(grant),
});

const amountsOf = ({ terms, state, due, voidedAt, unburned, transaction }: ApprovedGrant) => ({
  granted: terms.amount,
  amount: state.amount,
  due,
  claimed: state.claimed,
  start: state.start,
  cliff: state.cliff,
  duration: state.duration,
  vetoEnds: state.vetoEnds,
  revoked: state.revoked,
  byVote: terms.setVersion === 0,
  setVersion: terms.setVersion,
  voidedAt: voidedAt ?? null,
  unburned,
  transaction,
});

/** Digits that name a grant at least. */
const ID_DIGITS = 6;

/** As much of an id as names the grant. */
const shownId = (id: Hex): string => `${id.slice(0, 2 + ID_DIGITS)}…${id.slice(-4)}`;

/** @throws UserError `GRANT_ID`, `GRANT_UNKNOWN`, `GRANT_AMBIGUOUS` */
export function findGrant<T extends { readonly id: Hex }>(all: readonly T[], named: string): T {
  const id = named.toLowerCase().replace(/^0x/, "");
  if (!/^[\da-f]{6,64}$/.test(id))
    throw new UserError(
      "GRANT_ID",
      `A grant is named by its id, or by the first ${ID_DIGITS} hex digits of it or more, as "npx cotrain code list" shows it; not by ${JSON.stringify(named.slice(0, 100))}.`,
    );
  const found = all.filter((grant) => grant.id.startsWith(`0x${id}`));
  const [first, ...others] = found;
  if (!first) throw new UserError("GRANT_UNKNOWN", `No grant begins with ${id}: "npx cotrain code list" shows all.`);
  if (others.length === 0) return first;
  throw new UserError("GRANT_AMBIGUOUS", `${found.length} grants begin with ${id}: give more digits.`);
}

/** That one is looked at, and no other. @throws UserError as {@link findGrant} */
export async function namedGrant(place: Place, named: string) {
  const { grants, all } = await approvedGrants(place, (approvals) => [findGrant(approvals, named)]);
  return { grants, grant: findGrant(all, named) };
}

/** When a grant pays; nothing of it is due before the veto is over. */
function paidText({ start, cliff, duration, vetoEnds, revoked }: ApprovedGrant["state"]): string {
  if (revoked) return "no more than was due when it was ended";
  const [first, last] = [start + cliff, start + duration].map((time) => Math.max(time, vetoEnds));
  if (first === last) return `all at once at ${timeText(last!)}`;
  return `from ${timeText(first!)} to ${timeText(last!)}, linearly since ${timeText(start)}`;
}

const exactShares = (wei: bigint): string => `${formatEther(wei)} shares`;

/** `cotrain code list`. */
export const codeListCommand = defineCommand({
  name: "code list",
  summary: "what authors of code and founders were granted, and what of it is due and paid",
  options: placeOptions,
  examples: [["npx cotrain code list", "the grants of this directory's model, oldest first"]],
  async run({ options, output }) {
    const { all, now } = await shownAt(options, approvedGrants);
    output.result(
      all.map(documentOf),
      all.length === 0
        ? ["Nothing was granted for code."]
        : table(
            [
              ["grant", "author", "commit", "shares", "due", "claimed", ""],
              ...all.map((grant) => [
                shownId(grant.id),
                shortAddress(grant.terms.author),
                isFounders(grant) ? "founder" : commitOf(grant.terms.commit).slice(0, 10),
                // What was granted, of which the last column says what was burned.
                formatShares(grant.terms.amount),
                formatShares(grant.due),
                formatShares(grant.state.claimed),
                standingText(grant, now),
              ]),
            ],
            [3, 4, 5],
          ),
    );
  },
});

/** What a clone has of a grant: its commit, and of which repository it says that it is a clone. */
async function lookedFor(clone: string, { terms, repository }: ApprovedGrant) {
  const origin = await originOf(clone);
  // Some grants name no repository, as the first of a local chain does where its URL is nobody's to know.
  const isNamed = /[/:]/.test(repository);
  return {
    ...(await commitIn(clone, commitOf(terms.commit))),
    // Whom it is fetched as, and by which token, is nothing to be shown.
    origin: origin?.replace(/^([a-z][a-z+]*:\/\/)[^@/]*@/i, "$1") ?? null,
    isOther: isNamed && (origin === undefined || !isSameRepository(origin, repository)),
  };
}

function localRows(local: Awaited<ReturnType<typeof lookedFor>>): (readonly [string, string])[] {
  const { subject, author, origin, isOther } = local;
  const found = ["in the clone", `"${subject}" by ${author}`] as const;
  if (!isOther) return [found];
  const other = origin === null ? "none" : `${origin}, which is not the repository that the grant names`;
  return [found, ["its origin", other]];
}

/** `cotrain code show`. */
export const codeShowCommand = defineCommand({
  name: "code show",
  summary: "one grant, and whether a clone has the commit that it names",
  args: [{ name: "grant", description: "its id, or the first digits of it, as code list shows it" }],
  options: {
    ...placeOptions,
    clone: text({ value: "directory", description: "a clone of the repository, in which the commit is looked for" }),
  },
  examples: [
    ["npx cotrain code show 0x5a1f09 --clone ../model-tools", "what was granted, and that the clone has that commit"],
  ],
  notes: [
    "A commit that the clone does not have is an error: fetch first. That the clone's origin is another repository than the grant names is said, and no error: a fork has the same commits. The description is shown by its digest alone.",
  ],
  async run({ args: [id = ""], options, output }) {
    const { grant, now } = await shownAt(options, (place) => namedGrant(place, id));
    const commit = commitOf(grant.terms.commit);
    if (options.clone !== undefined && isFounders(grant))
      throw new UserError(
        "GRANT_NO_COMMIT",
        `Grant ${grant.id} is a founder's and names no commit: leave --clone out.`,
      );
    const local = options.clone === undefined ? undefined : await lookedFor(options.clone, grant);
    const { state, terms } = grant;
    output.result({ ...documentOf(grant), clone: local ?? null }, [
      ...factTable(
        [
          ["grant", grant.id],
          ...(isFounders(grant)
            ? ([
                ["founder", formatAddress(terms.author)],
                ["minted", `when the model was created, in ${grant.transaction}`],
              ] as const)
            : ([
                ["author", formatAddress(terms.author)],
                ["repository", grant.repository],
                ["commit", commit],
                ...(local ? localRows(local) : []),
                ["description", `sha256 ${terms.description}`],
                [
                  "approved",
                  `${terms.setVersion === 0 ? "by the holders" : `by maintainer set ${terms.setVersion}`}, in ${grant.transaction}`,
                ],
              ] as const)),
          ...(grant.voidedAt === undefined
            ? []
            : [["its set", `all that it approved was ended at ${timeText(grant.voidedAt)}`] as const]),
          ["granted", exactShares(terms.amount)],
          ["paid", paidText(state)],
          ["due", exactShares(grant.due)],
          ["claimed", exactShares(state.claimed)],
          ["stands", standingText(grant, now)],
        ],
        columnsOf(process.stdout),
      ),
    ]);
  },
});

/** What a claim paid; no transaction where nothing was due. */
interface PaidGrant {
  readonly grant: ApprovedGrant;
  readonly amount: bigint;
  readonly transaction: Hex | null;
}

/** Has a grant's author paid what is due, by the author's own wallet where that is here. @throws what the chain does */
async function claimDue(
  place: Place,
  entries: Place["entries"],
  { grants, grant }: { readonly grants: Address; readonly grant: ApprovedGrant },
  options: Parameters<typeof signingAs>[2],
): Promise<PaidGrant> {
  const nothing = { grant, amount: 0n, transaction: null };
  const entry = entries.find(({ account }) => account === asAddress(grant.terms.author)) ?? entries[0];
  if (!entry || grant.due === grant.state.claimed) return nothing;
  const client = await signingAs(place, entry, options);
  const call = { grants, modelId: place.modelId, id: grant.id };
  await claimGrant.simulate(client, call);
  const { receipt, event } = await claimGrant.sync(client, call);
  return event ? { grant, amount: event.amount, transaction: receipt.transactionHash } : nothing;
}

/** `cotrain code claim`. */
export const codeClaimCommand = defineCommand({
  name: "code claim",
  summary: "have authors of code paid what is due: the wallets here, or whom a grant names",
  args: [
    {
      name: "grant",
      description: "its id, or the first digits of it, as code list shows it (default: all grants to the wallets here)",
      optional: true,
    },
  ],
  options: signingOptions,
  examples: [
    ["npx cotrain code claim", "all that is due to wallets of this directory, each by its own"],
    ["npx cotrain code claim 0x5a1f09", "sent by a wallet of this directory; the grant's author is paid"],
  ],
  async run({ args: [id], options, output }) {
    const own = await namedWallet(options);
    const done = await atPlace(
      options,
      own,
      async (place) => {
        const entries = requireEntries(place, options);
        if (id !== undefined) return [await claimDue(place, entries, await namedGrant(place, id), options)];
        const accounts = new Set<string>(entries.map(({ account }) => account));
        const { grants, all } = await approvedGrants(place, (made) =>
          made.filter(({ terms }) => accounts.has(asAddress(terms.author))),
        );
        const paid: PaidGrant[] = [];
        for (const grant of all) paid.push(await claimDue(place, entries, { grants, grant }, options));
        return paid;
      },
      unpinnedNotice(options, output),
      { ticking: true },
    );
    const documents = done.map(({ grant, amount, transaction }) => ({
      id: grant.id,
      author: grant.terms.author,
      amount,
      transaction,
    }));
    const lines = done.map(({ grant, amount, transaction }) =>
      transaction === null
        ? `Nothing more of grant ${grant.id} is due now.`
        : `${formatAddress(grant.terms.author)} was paid ${formatShares(amount)} shares in ${transaction}.`,
    );
    output.result(
      id === undefined ? documents : documents[0],
      (lines.length === 0 ? ["No wallet here was granted anything for code."] : lines).flatMap((line) =>
        wrap(line, columnsOf(process.stdout)),
      ),
    );
  },
});
