import { describe, expect, it } from "vitest";

import { engineOf, schemeOf } from "../../../offchain/src/base/node/index.ts";

const engines = { "file:": "files", "ipfs+http:": "ipfs" };

describe("where something is kept", () => {
  it.each([
    ["relative/path", undefined],
    ["/absolute/with:colon", undefined],
    ["C:\\blobs", undefined],
    ["file:///somewhere", "file:"],
    ["IPFS+HTTP://127.0.0.1:5001", "ipfs+http:"],
  ])("%s has the scheme %s", (location, scheme) => {
    expect(schemeOf(location)).toBe(scheme);
  });

  it.each([
    ["a/path as it is", "files", "a/path as it is"],
    ["file:///with%20blank", "files", "/with blank"],
    ["ipfs+http://127.0.0.1:5001/mine", "ipfs", "ipfs+http://127.0.0.1:5001/mine"],
  ])("%s is kept by %s", (location, engine, at) => {
    expect(engineOf("blobs", engines, location)).toEqual({ engine, at });
  });

  it.each(["s3://key@bucket/prefix", "constructor://there", "ipfs+http://[", "file://elsewhere/share"])(
    "%s is refused in one sentence that shows no key",
    (location) => {
      const opening = (): unknown => engineOf("blobs", engines, location);
      expect(opening).toThrow(expect.objectContaining({ code: "LOCATION_INVALID", retryable: false }));
      expect(opening).not.toThrow(/key/);
    },
  );
});
