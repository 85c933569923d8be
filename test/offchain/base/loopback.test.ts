import { expect, test } from "vitest";

import { isLoopback, isLoopbackUrl, redactUrls } from "../../../offchain/src/base/index.ts";

test.each(["127.0.0.1", "127.8.8.8", "::1", "localhost", "::ffff:127.0.0.1", "::FFFF:127.8.8.8", "::ffff:7f00:1"])(
  "%s is this machine alone",
  (host) => {
    expect(isLoopback(host)).toBe(true);
    expect(isLoopbackUrl(`http://${host.includes(":") ? `[${host}]` : host}:8545/`)).toBe(true);
  },
);

test.each([
  "0.0.0.0",
  "::",
  "10.0.0.1",
  "127.0.0.1.example.com",
  "192.168.1.7",
  "::ffff:10.0.0.1",
  "::ffff:7eff:1",
  "localhost.example.com",
])("%s is not", (host) => {
  expect(isLoopback(host)).toBe(false);
  expect(isLoopbackUrl(`http://${host.includes(":") ? `[${host}]` : host}:8545/`)).toBe(false);
});

test("what only begins like one of this machine is not, nor is an address in brackets", () => {
  expect(isLoopback("::ffff:127.example.com")).toBe(false);
  expect(isLoopback("[::1]")).toBe(false);
});

test("what is no URL is of no machine", () => {
  expect(isLoopbackUrl("127.0.0.1:8545")).toBe(false);
  expect(isLoopbackUrl("http://")).toBe(false);
});

test("URLs of this machine keep their path in what is shown, but for those with a user; others lose it", () => {
  const shown = redactUrls(
    "http://127.0.0.1:7700/a/b?c http://[::ffff:127.0.0.1]/a https://me:key@localhost/a https://:key@[::1]/a https://rpc.example.org/key",
  );
  expect(shown).toBe(
    "http://127.0.0.1:7700/a/b?… http://[::ffff:127.0.0.1]/a https://localhost/… https://[::1]/… https://rpc.example.org/…",
  );
});
