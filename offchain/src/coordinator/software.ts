/**
 * The software that this coordinator runs, as one file for machines that are rented to work for it: they are of its version then. It is
 * packed when it is first asked for, from the tree that this process runs from, without packages of others: the lockfile says which
 * those are, and their digests.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

import { RetryableError } from "../base/index.ts";
import type { Logger } from "../service/index.ts";
import type { BlobStore } from "../storage/index.ts";
import { openBlobStore } from "../storage/node/index.ts";

/** The tree that this process runs from. */
const ownTree = resolve(import.meta.dirname, "../../..");

/** What a worker needs of it. */
const PARTS = [
  "LICENSE",
  "package.json",
  "package-lock.json",
  "deploy",
  "offchain/package.json",
  "offchain/bin",
  "offchain/src",
  "sdk/package.json",
  "sdk/src",
];
/** Of the packed tree, which has some 3 MB. */
const MOST_BYTES = 64 << 20;

type Stored = Awaited<ReturnType<BlobStore["put"]>>;

export interface Software {
  /** Where it lies once it is packed. */
  readonly store: BlobStore;
  /** Packs it at the first call; undefined where that is not possible. */
  packed(): Promise<Stored | undefined>;
}

/** @throws BlobError `BLOB_TOO_LARGE`; RetryableError `TAR_FAILED` */
async function pack(tree: string, store: BlobStore): Promise<Stored> {
  const child = spawn("tar", ["-czf", "-", "-C", tree, ...PARTS], { stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(child, "close");
  // Whoever waits for it hears of it below.
  ended.catch(() => undefined);
  try {
    const stored = await store.put(child.stdout, { maxBytes: MOST_BYTES });
    const [code] = (await ended) as [number | null];
    if (code === 0) return stored;
    await store.delete(stored.digest);
    throw new RetryableError("TAR_FAILED", `tar could not pack ${tree}: it ended with ${code}.`);
  } finally {
    child.kill("SIGKILL");
  }
}

/** @param directory the coordinator's own for it, emptied first: what an earlier version left is of no use */
export async function openSoftware(directory: string, logger: Pick<Logger, "warn">, tree = ownTree): Promise<Software> {
  rmSync(directory, { recursive: true, force: true });
  const store = await openBlobStore(directory);
  let packing: Promise<Stored | undefined> | undefined;
  const packOnce = async (): Promise<Stored | undefined> => {
    // A package of npm's has no lockfile, without which nobody could tell what would be installed.
    if (!PARTS.every((part) => existsSync(join(tree, part)))) return undefined;
    try {
      return await pack(tree, store);
    } catch (error) {
      packing = undefined;
      logger.warn({ err: error }, "the software could not be packed for rented machines");
      return undefined;
    }
  };
  return { store, packed: () => (packing ??= packOnce()) };
}
