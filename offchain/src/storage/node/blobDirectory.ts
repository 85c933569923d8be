/** Where a store's blobs lie: `ab/abcdef…` by the digest's first byte, `tmp/` for what is being written. */
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, opendir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import type { Digest } from "@cotrain/sdk/protocol";

import { errnoOf, systemClock } from "../../base/index.ts";
import { syncDirectory, writeError } from "../../base/node/index.ts";
import { blobMissing } from "../errors.ts";

/** What lies in tmp/ longer than this was left by a process that died. */
const STALE_MS = 3_600_000;

/** Payloads of a round that goes on are nobody else's to read. */
const PRIVATE = 0o700;

export class BlobDirectory {
  readonly root: string;
  readonly #temporary: string;
  /** Directories that are there. */
  readonly #made = new Set<string>();

  private constructor(root: string) {
    this.root = root;
    this.#temporary = join(root, "tmp");
  }

  /** Makes it if need be. @throws UserError `PATH_UNWRITABLE` */
  static async open(root: string): Promise<BlobDirectory> {
    const directory = new BlobDirectory(root);
    try {
      await mkdir(directory.#temporary, { recursive: true, mode: PRIVATE });
    } catch (error) {
      throw writeError(root, error);
    }
    await directory.#removeStale();
    return directory;
  }

  pathOf(digest: Digest): string {
    return join(this.#directoryOf(digest), digest.slice(2));
  }

  /** A path for what is being written. */
  temporaryPath(): string {
    return join(this.#temporary, randomBytes(12).toString("hex"));
  }

  /** Puts a finished temporary file under its name. */
  async settle(path: string, digest: Digest): Promise<void> {
    const directory = this.#directoryOf(digest);
    if (!this.#made.has(directory)) {
      await mkdir(directory, { recursive: true, mode: PRIVATE });
      await syncDirectory(this.root);
      this.#made.add(directory);
    }
    await rename(path, this.pathOf(digest));
    await syncDirectory(directory);
  }

  /** @throws BlobError `BLOB_MISSING` */
  async openToRead(digest: Digest): Promise<FileHandle> {
    try {
      return await open(this.pathOf(digest), "r");
    } catch (error) {
      throw errnoOf(error) === "ENOENT" ? blobMissing(digest, this.root) : error;
    }
  }

  /** Undefined where it is not there. */
  async sizeOf(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.pathOf(digest))).size;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  async *list(): AsyncGenerator<Digest> {
    for await (const directory of await opendir(this.root)) {
      if (!directory.isDirectory() || !/^[0-9a-f]{2}$/.test(directory.name)) continue;
      for await (const file of await opendir(join(this.root, directory.name))) {
        if (/^[0-9a-f]{64}$/.test(file.name)) yield `0x${file.name}` as Digest;
      }
    }
  }

  #directoryOf(digest: Digest): string {
    return join(this.root, digest.slice(2, 4));
  }

  async #removeStale(): Promise<void> {
    for (const name of await readdir(this.#temporary)) {
      const path = join(this.#temporary, name);
      const age = systemClock.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Infinity);
      if (age > STALE_MS) await rm(path, { force: true });
    }
  }
}
