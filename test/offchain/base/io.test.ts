import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { canRun } from "../../needs.ts";

import {
  bytesOf,
  createSha256,
  float32Of,
  parseJsonBounded,
  readStreamBounded,
  sha256Bytes,
  uint16Of,
} from "../../../offchain/src/base/index.ts";
import { readFileBounded, readJsonBounded, writeFileDurable } from "../../../offchain/src/base/node/index.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-base-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from("new");
  throw new Error("source failed");
}

describe("bounded readers", () => {
  it("reads a file of exactly the maximum and refuses one byte more", async () => {
    const path = join(directory, "file");
    await writeFile(path, new Uint8Array(200_000).fill(7));
    expect(await readFileBounded(path, 200_000)).toEqual(new Uint8Array(200_000).fill(7));
    await expect(readFileBounded(path, 199_999)).rejects.toMatchObject({ code: "FILE_TOO_LARGE" });
  });

  it("reads what reports size 0, and refuses an endless file", async () => {
    expect((await readFileBounded("/proc/self/status", 1 << 20)).length).toBeGreaterThan(0);
    await expect(readFileBounded("/dev/zero", 1 << 20)).rejects.toMatchObject({ code: "FILE_TOO_LARGE" });
  });

  it("says in one sentence that a file is not there or is a directory", async () => {
    await expect(readFileBounded(join(directory, "none"), 10)).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
      message: `${join(directory, "none")} does not exist.`,
    });
    await expect(readFileBounded(directory, 10)).rejects.toMatchObject({
      message: `${directory} is a directory, not a file.`,
    });
  });

  it("stops reading a stream at the first chunk beyond the maximum", async () => {
    let produced = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        produced++;
        yield new Uint8Array(10);
      }
    }
    await expect(readStreamBounded(endless(), 25, "The body")).rejects.toMatchObject({ code: "STREAM_TOO_LARGE" });
    expect(produced).toBe(3);
    expect(await readStreamBounded([new Uint8Array([1]), new Uint8Array([2])], 2)).toEqual(new Uint8Array([1, 2]));
  });

  it("refuses JSON that is too large, malformed or not UTF-8", async () => {
    const path = join(directory, "a.json");
    await writeFile(path, '{"a":1}');
    expect(await readJsonBounded(path, 100)).toEqual({ a: 1 });
    await writeFile(path, '{"a":');
    await expect(readJsonBounded(path, 100)).rejects.toMatchObject({ code: "JSON_INVALID" });
    expect(() => parseJsonBounded(new Uint8Array([0x22, 0xff, 0x22]), 100)).toThrow(/UTF-8/);
    expect(() => parseJsonBounded(new Uint8Array(101), 100)).toThrow(/larger/);
  });
});

describe("durable write", () => {
  it("replaces a file as a whole and leaves nothing beside it", async () => {
    const path = join(directory, "deep", "er", "file");
    await writeFileDurable(path, "one");
    await writeFileDurable(path, [Buffer.from("tw"), Buffer.from("o")], { mode: 0o600 });
    expect(await readFile(path, "utf8")).toBe("two");
    expect(await readdir(join(directory, "deep", "er"))).toEqual(["file"]);
  });

  it("keeps the old file when the source fails", async () => {
    const path = join(directory, "file");
    await writeFileDurable(path, "old");
    await expect(writeFileDurable(path, failing())).rejects.toThrow("source failed");
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(directory)).toEqual(["file"]);
  });

  it("says in one sentence that something else is in the place", async () => {
    await mkdir(join(directory, "taken", "inside"), { recursive: true });
    await expect(writeFileDurable(join(directory, "taken"), "x")).rejects.toMatchObject({ code: "PATH_UNWRITABLE" });
    await writeFile(join(directory, "file"), "");
    await expect(writeFileDurable(join(directory, "file", "x"), "x")).rejects.toMatchObject({
      code: "PATH_UNWRITABLE",
    });
    expect((await readdir(directory)).sort()).toEqual(["file", "taken"]);
  });

  it.runIf(canRun("writing below /proc", "linux"))(
    "gives up where the system takes no directories at all",
    async () => {
      await expect(writeFileDurable("/proc/cotrain/deep/file", "x")).rejects.toMatchObject({
        code: "PATH_UNWRITABLE",
        message: "/proc/cotrain cannot be made: /proc takes no directories.",
      });
    },
  );
});

describe("hash and bytes", () => {
  it("hashes bytes and pieces alike", () => {
    const bytes = new Uint8Array(3_000_000).map((_, i) => i);
    const expected = `0x${createHash("sha256").update(bytes).digest("hex")}`;
    expect(sha256Bytes(bytes)).toBe(expected);
    expect(createSha256().update(bytes.subarray(0, 5)).update(bytes.subarray(5)).digest()).toBe(expected);
  });

  it("views aligned bytes and copies others", () => {
    const numbers = new Float32Array([1, -2.5, 3]);
    const bytes = bytesOf(numbers);
    expect(float32Of(bytes).buffer).toBe(numbers.buffer);
    const shifted = new Uint8Array(13);
    shifted.set(bytes, 1);
    expect(float32Of(shifted.subarray(1))).toEqual(numbers);
    expect(uint16Of(new Uint8Array([0, 1, 2, 0]).subarray(1, 3))).toEqual(new Uint16Array([0x0201]));
    expect(() => float32Of(new Uint8Array(5))).toThrow(/whole number/);
    expect(() => uint16Of(new Uint8Array(5))).toThrow(/whole number/);
  });
});
