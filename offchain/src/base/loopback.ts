/** Whether a host, or a URL's, is this machine alone. */

/** 127.0.0.0/8 by itself or inside IPv6, with dots as sockets write it or in hex as URLs do. Any other name may point anywhere. */
const LOOPBACK = /^(?:localhost|::1|(?:::ffff:)?127(?:\.\d{1,3}){3}|::ffff:7f[\da-f]{2}:[\da-f]{1,4})$/i;

/** @param host a name or an address, of IPv6 without brackets */
export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

/** False for what is no URL. */
export const isLoopbackUrl = (url: string): boolean =>
  URL.canParse(url) && isLoopback(new URL(url).hostname.replace(/^\[(.*)\]$/, "$1"));
