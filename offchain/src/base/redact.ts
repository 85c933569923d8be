/** URLs as they may be shown: those of RPC providers hold keys in user, path and query. */
import { isLoopbackUrl } from "./loopback.ts";

/** A URL's scheme, host and port. */
export function redactUrl(url: string): string {
  try {
    const { protocol, host, pathname, search } = new URL(url);
    return `${protocol}//${host}${pathname.length > 1 || search ? "/…" : ""}`;
  } catch {
    return "(not a URL)";
  }
}

const URLS = /\b(?:https?|wss?):\/\/[^\s"'`\\]+/g;
/** Of this machine, without a user in front: its path tells what was asked and is nobody's key. */
const isHere = (url: string): boolean => {
  if (!isLoopbackUrl(url)) return false;
  const { username, password } = new URL(url);
  return username === "" && password === "";
};

/** A text whose URLs are redacted; those of this machine keep their path. */
export const redactUrls = (text: string): string =>
  text.replace(URLS, (url) => (isHere(url) ? url.replace(/[?#].*$/, "?…") : redactUrl(url)));
