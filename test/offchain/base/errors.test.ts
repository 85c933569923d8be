import { CoordinatorError, ProtocolError } from "@cotrain/sdk/errors";
import { describe, expect, it } from "vitest";

import { errnoOf, exitCodeOf, InternalError, RetryableError, UserError } from "../../../offchain/src/base/index.ts";
import { writeError } from "../../../offchain/src/base/node/index.ts";

describe("errors", () => {
  it("carry code, sentence, details and cause", () => {
    const cause = new TypeError("low");
    const error = new UserError("DATA_TOO_SHORT", "text.txt is too short.", { cause, details: { bytes: 3 } });
    expect(error).toMatchObject({
      name: "UserError",
      code: "DATA_TOO_SHORT",
      message: "text.txt is too short.",
      retryable: false,
      details: { bytes: 3 },
      cause,
    });
  });

  it("map to exit codes by who should do something", () => {
    expect(exitCodeOf(new UserError("A", "a"))).toBe(1);
    expect(exitCodeOf(new RetryableError("A", "a"))).toBe(75);
    expect(exitCodeOf(new InternalError("A", "a"))).toBe(70);
    expect(exitCodeOf(new ProtocolError("A", "a"))).toBe(1);
    expect(exitCodeOf(new CoordinatorError(503, "A", "a", { retryable: true }))).toBe(75);
    expect(exitCodeOf(new TypeError("a"))).toBe(70);
    expect(exitCodeOf("a")).toBe(70);
  });

  it("tell the operating system's codes from their own", () => {
    expect(errnoOf(Object.assign(new Error("x"), { code: "ENOENT" }))).toBe("ENOENT");
    expect(errnoOf(new UserError("A", "a"))).toBeUndefined();
    expect(errnoOf("ENOENT")).toBeUndefined();
  });

  it.each([
    ["EACCES", "PATH_UNWRITABLE", "/x cannot be written by this user."],
    ["EROFS", "PATH_UNWRITABLE", "/x cannot be written by this user."],
    ["ENOTDIR", "PATH_UNWRITABLE", "/x cannot be written: something else is in its place."],
    ["EISDIR", "PATH_UNWRITABLE", "/x cannot be written: something else is in its place."],
    ["ENOENT", "PATH_UNWRITABLE", "/x cannot be written: / is not there or takes no files."],
    ["ENAMETOOLONG", "PATH_UNWRITABLE", "/x cannot be written: the system takes no such path."],
    ["ENOSPC", "DISK_FULL", "/x cannot be written: the disk is full."],
  ])("name the path that %s kept from being written", (errno, code, message) => {
    expect(writeError("/x", Object.assign(new Error("os"), { code: errno }))).toMatchObject({ code, message });
  });
});
