/**
 * The catalogue at rest: the last complete listing of each provider, and how the price and the stock of each offer changed. What is
 * read back is believed as little as a provider: an offer that does not fit its form is left out.
 */
import { join } from "node:path";

import { sql } from "kysely";

import { makeDirectories } from "../base/node/index.ts";
import { type Database, findMiss, type Migration, openDatabase } from "../service/index.ts";
import type { Listing } from "./base/adapter.ts";
import { type Offer, OfferForm } from "./offer.ts";

interface MarketSchema {
  market_listings: { provider: string; observed_at: number; offers: string; refused: string };
  market_prices: {
    provider: string;
    offer: string;
    observed_at: number;
    /** µUSD/h as decimal digits; null without a price. */
    per_hour: string | null;
    /** As {@link Offer}'s, or `gone` where a listing has it no more. */
    stock: string;
  };
}

const migrations: readonly Migration[] = [
  {
    name: "market-1",
    up: async (db) => {
      await sql`create table market_listings (provider text primary key, observed_at integer not null, offers text not null, refused text not null)`.execute(
        db,
      );
      await sql`create table market_prices (provider text not null, offer text not null, observed_at integer not null, per_hour text, stock text not null)`.execute(
        db,
      );
      await sql`create index market_prices_by_offer on market_prices (provider, offer, observed_at)`.execute(db);
    },
  },
];

/** How long changes are kept. */
const KEPT = 90 * 86_400_000;
/** Rows of one statement: SQLite takes so many values. */
const CHUNK = 500;

const MONEY_FIELDS = ["storagePerGbMonth", "ingressPerGb", "egressPerGb"] as const;
type Stored = Readonly<Record<string, unknown>>;

const toStored = (offer: Offer): Stored => ({
  ...offer,
  ...Object.fromEntries(
    MONEY_FIELDS.flatMap((name) => (offer[name] === undefined ? [] : [[name, String(offer[name])]])),
  ),
  price: { ...offer.price, perHour: offer.price.perHour === undefined ? null : String(offer.price.perHour) },
});

const bigintOf = (value: unknown): bigint | undefined =>
  typeof value === "string" && /^\d{1,15}$/.test(value) ? BigInt(value) : undefined;

/** An offer that was stored, undefined for what is none. */
function fromStored(value: unknown): Offer | undefined {
  if (typeof value !== "object" || value === null || !("price" in value)) return undefined;
  const { price } = value;
  if (typeof price !== "object" || price === null || !("perHour" in price)) return undefined;
  const read = {
    ...value,
    ...Object.fromEntries(
      MONEY_FIELDS.flatMap((name) => (name in value ? [[name, bigintOf((value as Stored)[name])]] : [])),
    ),
    price: { ...price, perHour: bigintOf(price.perHour) },
  };
  return findMiss(OfferForm, read) === undefined ? (read as Offer) : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The extremes of an offer's price since some moment. */
export interface PriceRange {
  readonly lowest: bigint;
  readonly highest: bigint;
  readonly changes: number;
}

export interface CatalogueStore {
  /** The last listing of a provider. */
  listing(provider: string): Promise<Listing | undefined>;
  /** Keeps a complete listing, and what changed against the last. */
  keep(listing: Listing): Promise<void>;
  /** Prices of a provider's offers since a moment, by offer. */
  ranges(provider: string, since: number): Promise<ReadonlyMap<string, PriceRange>>;
  close(): Promise<void>;
}

/** What was last written of each offer of a provider. */
async function lastOf(
  { kysely }: Pick<Database<MarketSchema>, "kysely">,
  provider: string,
): Promise<Map<string, string>> {
  const { rows } = await sql<{ offer: string; per_hour: string | null; stock: string }>`
    select offer, per_hour, stock from market_prices
    where rowid in (select max(rowid) from market_prices where provider = ${provider} group by offer)`.execute(kysely);
  return new Map(rows.map((row) => [row.offer, `${row.per_hour} ${row.stock}`]));
}

function changesOf(
  { provider, offers, observedAt }: Listing,
  last: ReadonlyMap<string, string>,
): MarketSchema["market_prices"][] {
  const now = new Map<string, Pick<MarketSchema["market_prices"], "per_hour" | "stock">>(
    offers.map(({ id, price, stock }) => [id, { per_hour: price.perHour?.toString() ?? null, stock }]),
  );
  for (const [id, told] of last)
    if (!now.has(id) && !told.endsWith(" gone")) now.set(id, { per_hour: null, stock: "gone" });
  return [...now]
    .filter(([id, { per_hour, stock }]) => last.get(id) !== `${per_hour} ${stock}`)
    .map(([offer, row]) => ({ provider, offer, observed_at: observedAt, ...row }));
}

/**
 * Opens the catalogue of a directory, makes it when missing.
 * @throws UserError `DATABASE_CORRUPTED`, `DATABASE_NEWER`, `PATH_UNWRITABLE`; RetryableError `DISK_FULL`, `DATABASE_BUSY`
 */
export async function openCatalogue(directory: string): Promise<CatalogueStore> {
  makeDirectories(directory, 0o700);
  const remedy = `remove ${directory}: it holds nothing but what providers list`;
  const database = await openDatabase<MarketSchema>(join(directory, "catalogue.db"), migrations, { remedy });
  const { kysely } = database;
  return {
    listing: async (provider) => {
      const row = await kysely
        .selectFrom("market_listings")
        .selectAll()
        .where("provider", "=", provider)
        .executeTakeFirst();
      const stored = row === undefined ? undefined : parsed(row.offers);
      if (row === undefined || !Array.isArray(stored)) return undefined;
      const offers = stored.map(fromStored).filter((offer) => offer !== undefined);
      const refused = parsed(row.refused) as Readonly<Record<string, number>> | undefined;
      return { provider, offers, refused: refused ?? {}, observedAt: row.observed_at };
    },
    keep: async (listing) => {
      const { provider, offers, refused, observedAt } = listing;
      const row = {
        provider,
        observed_at: observedAt,
        offers: JSON.stringify(offers.map(toStored)),
        refused: JSON.stringify(refused),
      };
      await database.transaction(async (kysely) => {
        const changes = changesOf(listing, await lastOf({ kysely }, provider));
        for (let at = 0; at < changes.length; at += CHUNK)
          await kysely
            .insertInto("market_prices")
            .values(changes.slice(at, at + CHUNK))
            .execute();
        await kysely
          .deleteFrom("market_prices")
          .where("observed_at", "<", observedAt - KEPT)
          .execute();
        await kysely.replaceInto("market_listings").values(row).execute();
      });
    },
    ranges: async (provider, since) => {
      const rows = await kysely
        .selectFrom("market_prices")
        .select(["offer", "per_hour"])
        .where("provider", "=", provider)
        .where("observed_at", ">=", since)
        .where("per_hour", "is not", null)
        .execute();
      const ranges = new Map<string, PriceRange>();
      for (const { offer, per_hour } of rows) {
        const price = bigintOf(per_hour);
        if (price === undefined) continue;
        const { lowest = price, highest = price, changes = 0 } = ranges.get(offer) ?? {};
        ranges.set(offer, {
          lowest: price < lowest ? price : lowest,
          highest: price > highest ? price : highest,
          changes: changes + 1,
        });
      }
      return ranges;
    },
    close: () => database.close(),
  };
}
