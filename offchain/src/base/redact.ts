/** URLs as they may be shown: providers' hold keys in user, path and query. */

const URLS = /\b(https?|wss?):\/\/([^\s"'`\\/?#]+)([^\s"'`\\]*)/g;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/;

/** A text whose URLs show scheme, host and port only; those of this machine keep their path. */
export const redactUrls = (text: string): string =>
  text.replace(URLS, (_, scheme: string, authority: string, rest: string) => {
    const host = authority.slice(authority.lastIndexOf("@") + 1);
    if (LOOPBACK.test(host)) return `${scheme}://${host}${rest.replace(/[?#].*$/, "?…")}`;
    return `${scheme}://${host}${rest.length > 1 ? "/…" : ""}`;
  });
