/**
 * Code in a session on a development chain: the holders' one proposal also grants shares for the commit that the program's clone stands at,
 * to a wallet of this machine. Once for each model, and only while nothing was granted in it.
 */
import { approveGrantByVote, bootstrapOf, claimGrant, type ProposalCall, requireVotable } from "@cotrain/sdk/actions";
import { type Address, asAddress, grantIdOf, type Hex } from "@cotrain/sdk/protocol";

import { type Clock, formatShares, UserError } from "../base/index.ts";
import { isRevert } from "../chain/index.ts";
import {
  type ApprovedGrant,
  approvedGrants,
  beginGrant,
  commitOfClone,
  contractAt,
  ensureDelegate,
  grantFacts,
  type GrantsPlace,
  originOf,
} from "../run/index.ts";
import type { Owner } from "./owners.ts";

/** What is granted, in share wei: half of what one epoch has for code. */
const GRANTED = 50n * 10n ** 18n;
/** From the proposal on; its last part is due within most sessions that vote, s. */
const VESTS = 60;
/** How long it may be approved, s: a vote of a local chain takes a quarter of a minute. */
const WITHIN = 3_600;
/** Bytes of a URL that a grant may have. */
const LONGEST_URL = 256;
/** Digits of a commit by which it is told. */
const DIGITS = 12;

/** What stands in the place of a repository's URL that is not for everybody. */
export const UNNAMED_REPOSITORY = "a clone of Cotrain";

/** Hosts where anybody may read what is not private, with a bare path: what else a name leads to, nobody can tell by it. */
const FORGE = /^https:\/\/(?:bitbucket\.org|codeberg\.org|git\.sr\.ht|github\.com|gitlab\.com)\/[\w./~-]+$/;

/**
 * How a grant names the clone's repository, for ever and to everybody: its origin's URL, if that is of a public forge. Any other may be
 * a path of this machine, hold a user or a token, or name a network of somebody's own.
 */
export const repositoryNamed = (origin: string | undefined): string =>
  origin !== undefined && origin.length <= LONGEST_URL && FORGE.test(origin) ? origin : UNNAMED_REPOSITORY;

/** What a proposal grants. */
export interface OfferedGrant {
  readonly id: Hex;
  readonly call: ProposalCall;
  /** As part of the proposal's title. */
  readonly words: string;
}

/** Why there is no commit to pay for. */
export const NO_CLONE = "the program runs from no clone of its own, so that there is no commit to pay for";

/** What is asked for, and where its clone lies. */
export interface GrantRequest {
  readonly author: Address;
  /** Directory of the clone. */
  readonly clone: string;
  readonly clock: Clock;
}

/**
 * The grant that a session's proposal makes, or why it makes none, in a few words.
 * @throws RetryableError of the chain
 */
export async function offerGrant(
  place: GrantsPlace,
  { author, clone, clock }: GrantRequest,
): Promise<OfferedGrant | { readonly why: string }> {
  const { connection } = place;
  try {
    const { grants, all } = await approvedGrants(place);
    if (all.length > 0)
      return { why: 'the holders have granted something for code before: "npx cotrain code list" tells' };
    const commit = await commitOfClone(clone);
    if (commit === undefined) return { why: NO_CLONE };
    const repository = repositoryNamed(await originOf(clone));
    const facts = await grantFacts(place, clock);
    const description = `Cotrain at commit ${commit.slice(0, DIGITS)}`;
    const terms = {
      author,
      repository,
      commit,
      description,
      amount: GRANTED,
      cliff: 0,
      duration: VESTS,
      within: WITHIN,
    };
    const grant = { ...beginGrant(facts, terms).struct, setVersion: 0 };
    const approval = { grants, grant, repository };
    const account = await contractAt(place, "timelock");
    await connection.call((client) => approveGrantByVote.simulate(client, { ...approval, account }));
    const call = approveGrantByVote.call(approval);
    // While the model is in bootstrap the parameters are decided alone.
    const bootstrap = await connection.call((client) => bootstrapOf(client, { addresses: place.addresses }));
    const governor = await contractAt(place, "governor");
    await connection.call((client) => requireVotable.simulate(client, { bootstrap, calls: [call], account: governor }));
    const words = `${formatShares(GRANTED)} shares for commit ${commit.slice(0, DIGITS)}`;
    return { id: grantIdOf(grant), call, words };
  } catch (error) {
    if (error instanceof UserError || isRevert(error)) return { why: error.message };
    throw error;
  }
}

/** The author's grant as it stands; undefined where it has none. @throws UserError `CODE_UNPAID` */
export async function grantTo(
  place: GrantsPlace,
  author: Address,
): Promise<{ readonly grants: Address; readonly grant: ApprovedGrant | undefined }> {
  const { grants, all } = await approvedGrants(place, (made) =>
    made.filter(({ terms }) => asAddress(terms.author) === author).slice(0, 1),
  );
  return { grants, grant: all[0] };
}

/** What a session does of a grant. */
export interface GrantFollower {
  /**
   * Has the author paid once all is due. @param last also what is due of it so far
   * @throws what the chain does: the next look tries again
   */
  readonly look: (last?: boolean) => Promise<void>;
  /** There may be a grant by now: it is looked for again. */
  readonly seek: () => void;
}

/** @param say told of what happened, in one line */
export function followGrant(place: GrantsPlace, author: Owner, say: (line: string) => void): GrantFollower {
  const { client } = author;
  const account = asAddress(client.account.address);
  const { modelId } = place;
  // A session that was cut short may have left one.
  let sought = true;

  async function step(last: boolean): Promise<void> {
    const { grants, grant } = await grantTo(place, account);
    if (!grant || grant.state.claimed === grant.state.amount) {
      sought = false;
      return;
    }
    const { id, due, state, terms } = grant;
    if (due === state.claimed || (due < state.amount && !last)) return;
    // Before there is something to vote with: no other look finds shares without votes and chooses as well.
    await ensureDelegate(client, { shares: await contractAt(place, "shares"), account });
    const { event } = await claimGrant.sync(client, { grants, modelId, id });
    if (event)
      say(`${author.name} was paid ${formatShares(event.amount)} shares for commit ${commitText(terms.commit)}`);
  }

  return {
    look: async (last = false) => {
      if (!sought) return;
      try {
        await step(last);
      } catch (error) {
        // The contracts of an older run pay nobody for code.
        if (!(error instanceof UserError)) throw error;
        sought = false;
      }
    },
    seek: () => (sought = true),
  };
}

const commitText = (word: Hex): string => word.slice(2, 2 + DIGITS);
