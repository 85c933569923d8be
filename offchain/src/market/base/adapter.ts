/**
 * What an adapter is: tables of how its provider is asked, limited and understood, and mappings from its words to ours. All that
 * providers share is in this folder. Renting, `create`, `get`, `list`, `terminate` and `bill`, are mappings of their own over the same
 * calls (`renting.ts`).
 */
import type { Clock } from "../../base/index.ts";
import type { Backstop, Offer, OfferDraft } from "../offer.ts";
import type { Api } from "./api.ts";
import type { RefusalRow } from "./errors.ts";
import type { Limit } from "./limiter.ts";
import type { Renting } from "./renting.ts";
import type { Row } from "./rows.ts";

/** As whom a provider is asked. */
export interface Account {
  readonly headers: Readonly<Record<string, string>>;
  /** What no error and no log may show. */
  readonly secret?: string;
}

/** What is wanted of listings whose price depends on it. */
export interface Wanted {
  /** GB of disk that will be rented. */
  readonly diskGb: number;
}

/** What every offer of a provider has in common. */
interface Capabilities {
  readonly backstop: Backstop;
  /** Seconds by which time is billed. */
  readonly granularitySeconds: number;
  /** Whether the time of booting is billed. */
  readonly bootBilled: boolean;
  readonly prepaid: boolean;
}

/** The key that a provider wants. */
interface KeyRow {
  /** Environment variable that holds it, as the provider's own tools call it. */
  readonly variable: string;
  /** `bearer`, or the header that it stands in. */
  readonly header: string;
  /** Where it is made. */
  readonly from: string;
  /** Whether offers are listed without it. */
  readonly optional?: boolean;
}

/** A fact of an account, in words. */
export type AccountFact = readonly [label: string, value: string];

export interface Adapter {
  readonly name: string;
  readonly title: string;
  /** What its offers add to a catalogue. */
  readonly adds: string;
  /** Where its API is; none for one that has no address of its own. */
  readonly base?: string;
  readonly key?: KeyRow;
  readonly capabilities: Capabilities;
  readonly limits: Readonly<Record<string, Limit>>;
  readonly refusals: readonly RefusalRow[];
  /** How long an offer stands after it was seen, ms. */
  readonly validFor: number;
  /** Rows of all offers, page by page. */
  readonly rows: (api: Api, wanted: Wanted) => AsyncIterable<readonly unknown[]>;
  /** A row's offers: none where it is not to be rented. @throws UserError `ROW_FIELD` */
  readonly offers: (row: Row, wanted: Wanted) => readonly OfferDraft[];
  /** What can be read of the account, for `market doctor`; changes nothing. */
  readonly account: (api: Api) => Promise<readonly AccountFact[]>;
  readonly renting: Renting;
}

/** What a provider lists. */
export interface Listing {
  readonly provider: string;
  readonly offers: readonly Offer[];
  /** Rows that were refused, by why. */
  readonly refused: Readonly<Record<string, number>>;
  readonly observedAt: number;
}

/** What a listing is made with. */
export interface ListingContext {
  readonly api: Api;
  readonly wanted: Wanted;
  readonly clock: Clock;
}
