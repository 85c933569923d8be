/**
 * Listings in pages. A listing is complete or it is an error: an empty page before the total, or a page that never ends, is never
 * taken for the end, since what is missing in a listing would be taken for gone.
 */
import { fieldOf, listOf } from "./rows.ts";
import { providerError } from "./errors.ts";

/** A page and what tells that it is the last. */
interface Page {
  readonly items: readonly unknown[];
  /** How many there are in all. */
  readonly total: number;
}

const MAX_PAGES = 500;

/** A page of `{ [items]: [], [total]: number }`. */
export function countedPage(answer: unknown, items: string, total: string): Page {
  const count = fieldOf(answer, total);
  return {
    items: listOf(fieldOf(answer, items), items),
    total: typeof count === "number" && Number.isSafeInteger(count) && count >= 0 ? count : Number.NaN,
  };
}

/**
 * All items of a listing by page number, from 1; a page may be shorter than was asked for.
 * @param title the provider, for the error
 * @throws RetryableError `PROVIDER_UNREADABLE`
 */
export async function* byPage(
  title: string,
  fetchPage: (page: number) => Promise<Page>,
): AsyncGenerator<readonly unknown[]> {
  let seen = 0;
  for (let number = 1; number <= MAX_PAGES; number++) {
    const { items, total } = await fetchPage(number);
    if (Number.isNaN(total)) throw providerError("unreadable", title, "a listing does not say how long it is");
    seen += items.length;
    yield items;
    if (seen >= total) return;
    if (items.length === 0) throw providerError("unreadable", title, `a listing of ${total} ends after ${seen}`);
  }
  throw providerError("unreadable", title, `a listing has more than ${MAX_PAGES} pages`);
}

/** All items of a listing by offset, from 0. @throws as {@link byPage} */
export function byOffset(
  title: string,
  fetchPage: (offset: number) => Promise<Page>,
): AsyncGenerator<readonly unknown[]> {
  let offset = 0;
  return byPage(title, async () => {
    const page = await fetchPage(offset);
    offset += page.items.length;
    return page;
  });
}

/** All items of a listing by keyset: each page names the token of the next, the last none. */
export async function* byToken(
  title: string,
  fetchPage: (
    token: string | undefined,
  ) => Promise<{ readonly items: readonly unknown[]; readonly next: string | undefined }>,
): AsyncGenerator<readonly unknown[]> {
  const used = new Set<string>();
  let token: string | undefined;
  for (let number = 1; number <= MAX_PAGES; number++) {
    const { items, next } = await fetchPage(token);
    yield items;
    if (next === undefined) return;
    if (used.has(next)) throw providerError("unreadable", title, "a listing goes in a circle");
    used.add(next);
    token = next;
  }
  throw providerError("unreadable", title, `a listing has more than ${MAX_PAGES} pages`);
}
