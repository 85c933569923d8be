/**
 * What a blob store asks of a Kubo node, by its RPC: bounded in time and in bytes, with errors of ours. Paths are those of the
 * node's own file tree (MFS), which names what is kept by the node and is as durable as its blocks.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import { create, type KuboRPCClient } from "kubo-rpc-client";
import { CID } from "multiformats/cid";

import { printable, RetryableError, unlessAborted, UserError } from "../../base/index.ts";
import { MAX_LINKS, PIECE_BYTES } from "../unixfs.ts";
import { withAnswersUpTo } from "./boundedAnswers.ts";

/** An answer may take so long, and a second more for each MiB that goes or comes with it. */
const PATIENCE_MS = 30_000;
const MS_PER_BYTE = 1_000 / PIECE_BYTES;
const MAX_WORDS = 200;
/** Of an answer that says how it went, and of one that lists names or blocks: each takes 200 bytes or so. */
const ANSWER_BYTES = 64 << 10;
const LIST_BYTES = 4 << 20;
/** The node answers from what it has: a blob that is gone is a clear answer, and no search through the network. */
const local = { offline: true } as const;
/** Without a look at what the names are of. */
const namesAlone = { ...local, resolveType: false, size: false } as const;
/** A directory with what is in it, whatever state it is in. */
const whole = { recursive: true, force: true } as const;
/** Codec of a leaf's CID. */
const RAW = 0x55;
/** Of nodes above the leaves: no blob has pieces for another. */
const LEVELS = 2;
/** Every setting that decides about the CID, so that the node's own configuration does not. */
const layout = {
  cidVersion: 1,
  rawLeaves: true,
  chunker: `size-${PIECE_BYTES}`,
  hashAlg: "sha2-256",
  trickle: false,
  inline: false,
  maxFileLinks: MAX_LINKS,
} as const;

/** What a call moves. */
interface Size {
  /** Bytes of content, which take time; default none. */
  readonly content?: number;
  /** Most bytes of the answer; default those of a few words. */
  readonly answer?: number;
}

type Call<T> = (options: { readonly signal: AbortSignal }) => Promise<T>;

/** What a path names. */
export interface Entry {
  /** CID of the root. */
  readonly cid: string;
  /** Undefined where the root is broken. */
  readonly bytes: number | undefined;
}

/** How the removal of a file's blocks went. */
interface Dropped {
  /** Not where the node cannot tell what other pins hold, since a node of one is gone or broken. */
  readonly isDone: boolean;
  /** What it says of the first block that stayed, e.g. which pin holds it; nothing when all are gone. */
  readonly kept: string | undefined;
}

export interface KuboNode {
  /** Where it is, for errors. */
  readonly url: string;
  /** How long it may take for so much content in all, ms. */
  patienceFor(bytes: number): number;
  /** What a path names; undefined when there is nothing, or its root is gone. */
  entry(path: string): Promise<Entry | undefined>;
  /** The CID that a path names, be the root gone or broken. */
  cidAt(path: string): Promise<string | undefined>;
  /** Names in a directory, none where it is not there. */
  names(path: string): Promise<readonly string[]>;
  /**
   * Adds and pins a file of so many bytes.
   * @param name of the pin, for people
   * @returns the CID of its root
   */
  add(content: Uint8Array | AsyncIterable<Uint8Array>, bytes: number, name: string): Promise<string>;
  /** Lets a path name a CID, durably when it resolves. */
  link(cid: string, path: string): Promise<void>;
  /** The same where it names nothing yet: of several at once the node takes one, and the others fail. */
  linkFirst(cid: string, path: string): Promise<void>;
  /** Takes a file or directory out of the tree; what is not there is no error. */
  unlink(path: string): Promise<void>;
  /** What is not pinned is no error. */
  unpin(cid: string): Promise<void>;
  /** Unpins a file and removes its blocks, but those that other pins hold: adding it again writes them anew. */
  drop(cid: string): Promise<Dropped>;
  /** Whether a file's root, or a node under it, is gone or broken; its pieces are not looked at. */
  isBroken(cid: string): Promise<boolean>;
  /**
   * The bytes of one piece of a file, undefined when the node has its block no more, or broken, or not as long, or sends more.
   * @throws RetryableError `BLOB_STORE_FAILED` also when the node has the block and does not give it
   */
  read(cid: string, offset: number, length: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Bytes that its owner lets it take still. */
  free(): Promise<number>;
}

/**
 * What Kubo says of what it does not have. Its RPC answers every failure with status 500 and code 0 (`ErrNormal` of go-ipfs-cmds), so
 * that only the words tell: whole sentences of Go and of Kubo's libraries, for the calls that they answer. By any other words
 * nothing is gone: it is a failure to be tried again.
 */
const gone = {
  path: /^file does not exist$/,
  block: /^(block was not found locally \(offline\): )?ipld: could not find \S+$/,
  /** Of several blocks: some are lost, or could not be read for now. */
  blocks: /^failed to fetch all nodes$/,
  pin: /^not pinned or pinned indirectly$/,
  /** Of a directory without such a name. */
  name: /^no link named "[^"]*" under \S+$/,
  /** Of a block that has not its hash, where the node looks, or that is no node of a file. */
  broken:
    /^(block in storage has different hash than requested|proto: .+|protobuf: .+|invalid Hash field found in link.+|unrecognized node type.*|expected protobuf dag node|unexpected EOF)$/,
  /** Of a sector that the disk does not read any more (EIO): what lies there is as lost as what changed. */
  sector: /: input\/output error$/,
} as const;
const lost = ["block", "broken", "sector"] as const;

const isFull = (message: string): boolean => /no space left on device|disk quota exceeded/i.test(message);

/** By what `fetch` throws: no connection, one that broke, or no time left. */
const isAway = (error: unknown): boolean =>
  (error instanceof TypeError && /^(fetch failed|terminated)$/.test(error.message)) ||
  (error instanceof Error && ["AbortError", "TimeoutError"].includes(error.name));

/** What stands before a node may have enough of us for now. */
const LATER: ReadonlySet<number | undefined> = new Set([408, 425, 429]);

const statusOf = (error: unknown): number | undefined =>
  error instanceof Error && "response" in error && error.response instanceof Response
    ? error.response.status
    : undefined;

/** Our error for what the client threw. */
function nodeError(url: string, error: unknown): CotrainError {
  if (error instanceof CotrainError) return error;
  const words = error instanceof Error ? error.message : String(error);
  if (isFull(words))
    return new RetryableError("DISK_FULL", `The IPFS node at ${url} cannot write: its disk is full.`, { cause: error });
  const said = printable(words).slice(0, MAX_WORDS);
  const status = statusOf(error);
  if (LATER.has(status))
    return new RetryableError("BLOB_STORE_AWAY", `What answers at ${url} does not let us through now (${status}).`, {
      cause: error,
      details: { said },
    });
  if (status !== undefined && status >= 300 && status < 500)
    return new UserError(
      "BLOB_STORE_REFUSED",
      `What answers at ${url} is no RPC of an IPFS node, or is not for us (${status}${status < 400 ? ", which sends us elsewhere" : ""}): see its addresses with "ipfs config Addresses.API".`,
      { cause: error, details: { said } },
    );
  if (isAway(error))
    return new RetryableError(
      "BLOB_STORE_AWAY",
      `The IPFS node at ${url} does not answer: start it with "ipfs daemon", or see whether the address is right.`,
      { cause: error, details: { said } },
    );
  return new RetryableError("BLOB_STORE_FAILED", `The IPFS node at ${url} could not do it: ${said}.`, { cause: error });
}

/** What an error says of what was asked for, by Kubo's words; undefined where it says nothing of it. */
function wordOf(error: unknown): keyof typeof gone | undefined {
  const said = error instanceof CotrainError && statusOf(error.cause) === 500 ? (error.cause as Error).message : "";
  return (Object.keys(gone) as (keyof typeof gone)[]).find((word) => gone[word].test(said));
}

/** The client of a node, and how it is called. */
interface Calls {
  readonly base: string;
  readonly client: KuboRPCClient;
  /** Runs a call within its bounds of time and bytes. @throws CotrainError */
  readonly bounded: <T>(work: Call<T>, size?: Size) => Promise<T>;
  /** The same; undefined when it answers by some of these words that what was asked for is not there. */
  readonly unlessGone: <T>(words: readonly (keyof typeof gone)[], work: Call<T>, size?: Size) => Promise<T | undefined>;
}

/** How long an answer with so much content may take, ms. */
const patienceFor = (patience: number, bytes: number): number => patience + Math.ceil(bytes * MS_PER_BYTE);

function callsOf(base: string, patience: number): Calls {
  const bounded: Calls["bounded"] = async (work, { content = 0, answer = ANSWER_BYTES } = {}) => {
    const signal = AbortSignal.timeout(patienceFor(patience, content));
    try {
      return await unlessAborted(
        withAnswersUpTo(answer, () => work({ signal })),
        signal,
      );
    } catch (error) {
      throw nodeError(base, error);
    }
  };
  const unlessGone: Calls["unlessGone"] = async (words, work, size) => {
    try {
      return await bounded(work, size);
    } catch (error) {
      const word = wordOf(error);
      if (word !== undefined && words.includes(word)) return undefined;
      throw error;
    }
  };
  return { base, client: create({ url: base }), bounded, unlessGone };
}

/** A path below the CID of its directory. To the tree itself the node answers only when it has the root, however long it looks. */
async function inDirectory({ client, unlessGone }: Calls, path: string): Promise<string | undefined> {
  const at = path.lastIndexOf("/");
  const directory = path.slice(0, at);
  const found = await unlessGone(["path"], (options) => client.files.stat(directory, { ...options, ...local }));
  return found && `/ipfs/${found.cid.toString()}${path.slice(at)}`;
}

async function cidOfPath({ client, unlessGone }: Calls, below: string): Promise<string | undefined> {
  const found = await unlessGone(["name"], (options) => client.dag.resolve(below, { ...options, ...local }));
  return found?.cid.toString();
}

async function cidAt(calls: Calls, path: string): Promise<string | undefined> {
  const below = await inDirectory(calls, path);
  return below === undefined ? undefined : cidOfPath(calls, below);
}

async function entryAt(calls: Calls, path: string): Promise<Entry | undefined> {
  const { base, client, bounded } = calls;
  const below = await inDirectory(calls, path);
  if (below === undefined) return undefined;
  try {
    const { cid, size } = await bounded((options) => client.files.stat(below, { ...options, ...local }));
    if (Number.isSafeInteger(size) && size >= 0) return { cid: cid.toString(), bytes: size };
  } catch (error) {
    const word = wordOf(error);
    if (word === "name" || word === "block") return undefined;
    if (word !== "broken" && word !== "sector") throw error;
    const cid = await cidOfPath(calls, below);
    return cid === undefined ? undefined : { cid, bytes: undefined };
  }
  throw new RetryableError("BLOB_STORE_FAILED", `The IPFS node at ${base} answers no size of ${path}.`);
}

async function namesIn({ client, unlessGone }: Calls, path: string): Promise<readonly string[]> {
  const list: Call<string[]> = async (options) => {
    const { cid } = await client.files.stat(path, { ...options, ...local });
    const names: string[] = [];
    for await (const { name } of client.ls(cid, { ...options, ...namesAlone })) names.push(name);
    return names;
  };
  return (await unlessGone(["path", "block"], list, { answer: LIST_BYTES })) ?? [];
}

const copyTo = ({ client, bounded }: Calls, cid: string, path: string, how: { force: boolean }): Promise<void> =>
  bounded((options) => client.files.cp(`/ipfs/${cid}`, path, { ...options, ...local, ...how, parents: true }));

async function link(calls: Calls, cid: string, path: string): Promise<void> {
  const { client, bounded } = calls;
  try {
    await copyTo(calls, cid, path, { force: false });
  } catch (error) {
    const there = await entryAt(calls, path);
    if (there === undefined) throw error;
    // By another put of the same bytes, perhaps under way: readers must not find it gone for a moment.
    if (there.cid === cid) await bounded((options) => client.files.flush(path, options));
    else await copyTo(calls, cid, path, { force: true });
  }
}

async function unpin({ client, unlessGone }: Calls, cid: string): Promise<void> {
  await unlessGone(["pin"], (options) => client.pin.rm(cid, options));
}

async function drop(calls: Calls, cid: string): Promise<Dropped> {
  const { client, bounded } = calls;
  await unpin(calls, cid);
  const blocks = [CID.parse(cid)];
  const collect: Call<void> = async (options) => {
    for await (const { ref } of client.refs(cid, { ...options, ...local, recursive: true, unique: true }))
      // Of a block that it does not have it says so, in place of one.
      if (ref) blocks.push(CID.parse(ref));
  };
  await bounded(collect, { answer: LIST_BYTES });
  // Before that it walks all that is pinned, and looks for what it lacks of it everywhere.
  const removeAll: Call<Dropped> = async (options) => {
    let isDone = true;
    let kept: string | undefined;
    for await (const { error } of client.block.rm(blocks, { ...options, force: true })) {
      if (error?.message.startsWith("pin check failed")) isDone = false;
      if (error) kept ??= printable(error.message).slice(0, MAX_WORDS);
    }
    return { isDone, kept };
  };
  return bounded(removeAll, { answer: LIST_BYTES }).catch((error: unknown) => {
    if (error instanceof CotrainError && error.code === "BLOB_STORE_AWAY")
      return { isDone: false, kept: "it looks for a block for too long" };
    throw error;
  });
}

/** CIDs of what a node of a file names; undefined where the node is gone or broken. */
async function linksOf({ client, unlessGone }: Calls, cid: CID): Promise<readonly CID[] | undefined> {
  const list: Call<CID[]> = async (options) => {
    const links: CID[] = [];
    for await (const link of client.ls(cid, { ...options, ...namesAlone })) links.push(link.cid);
    return links;
  };
  return unlessGone(lost, list, { answer: LIST_BYTES });
}

async function isBroken(calls: Calls, cid: CID, levels = LEVELS): Promise<boolean> {
  if (cid.code === RAW || levels === 0) return false;
  const links = await linksOf(calls, cid);
  for (const link of links ?? []) if (await isBroken(calls, link, levels - 1)) return true;
  return links === undefined;
}

/** The block of a piece; undefined when it cannot be told because a node above it is gone or broken. */
async function blockOf(calls: Calls, cid: string, piece: number): Promise<CID | undefined> {
  let block = CID.parse(cid);
  for (let level = 0; level < LEVELS && block.code !== RAW; level++) {
    const links = await linksOf(calls, block);
    if (links === undefined) return undefined;
    const index = links[0]?.code === RAW ? piece % MAX_LINKS : Math.floor(piece / MAX_LINKS);
    block = links[index] ?? block;
  }
  if (block.code === RAW) return block;
  throw new RetryableError(
    "BLOB_STORE_FAILED",
    `The IPFS node at ${calls.base} names no block of piece ${piece} of ${cid}.`,
  );
}

/** Whether a piece's block is gone or broken, or has another length. */
async function isLost(calls: Calls, cid: string, offset: number, length: number): Promise<boolean> {
  const block = await blockOf(calls, cid, offset / PIECE_BYTES);
  if (block === undefined) return true;
  const { client, unlessGone } = calls;
  const found = await unlessGone(lost, (options) => client.block.stat(block, { ...options, ...local }));
  return found?.size !== length;
}

async function read(calls: Calls, cid: string, offset: number, length: number) {
  const { base, client, unlessGone } = calls;
  // Nothing would be read for nothing: whether the node has the file is asked all the same.
  const wanted = { offset, length: Math.max(1, length), ...local };
  const receive: Call<Uint8Array<ArrayBuffer> | "fewer" | "more"> = async (options) => {
    const bytes = new Uint8Array(length);
    let at = 0;
    for await (const chunk of client.cat(cid, { ...options, ...wanted })) {
      if (at + chunk.length > length) return "more";
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return at === length ? bytes : "fewer";
  };
  const received = await unlessGone([...lost, "blocks"], receive, { content: length, answer: length + ANSWER_BYTES });
  if (received instanceof Uint8Array) return received;
  // A block that cannot be read for now (no file descriptors, a node that ends) looks like one that is lost: an answer that is
  // under way ends early, without an error that `fetch` would show.
  if (received === "more" || (await isLost(calls, cid, offset, length))) return undefined;
  throw new RetryableError("BLOB_STORE_FAILED", `The IPFS node at ${base} does not give all that it has of ${cid}.`);
}

/** @param base of the RPC, `http://127.0.0.1:5001` @param patience ms for an answer without content */
export function openKuboNode(base: string, patience = PATIENCE_MS): KuboNode {
  const calls = callsOf(base, patience);
  const { client, bounded, unlessGone } = calls;
  return {
    url: base,
    patienceFor: (bytes) => patienceFor(patience, bytes),
    entry: (path) => entryAt(calls, path),
    cidAt: (path) => cidAt(calls, path),
    names: (path) => namesIn(calls, path),
    add: async (content, bytes, pinName) => {
      const how = { ...layout, pin: true, pinName };
      const added = await bounded((options) => client.add({ content }, { ...options, ...how }), { content: bytes });
      return added.cid.toString();
    },
    link: (cid, path) => link(calls, cid, path),
    linkFirst: (cid, path) => copyTo(calls, cid, path, { force: false }),
    unlink: async (path) => {
      await unlessGone(["path"], (options) => client.files.rm(path, { ...options, ...whole }));
    },
    unpin: (cid) => unpin(calls, cid),
    drop: (cid) => drop(calls, cid),
    isBroken: (cid) => isBroken(calls, CID.parse(cid)),
    read: (cid, offset, length) => read(calls, cid, offset, length),
    free: async () => {
      const { storageMax, repoSize } = await bounded((options) => client.repo.stat(options));
      return Number(storageMax > repoSize ? storageMax - repoSize : 0n);
    },
  };
}
