/** As much of a Kubo node's RPC as a blob store uses, in memory, and what a node may do that is broken or hostile. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { cidOf } from "@cotrain/sdk/protocol";
import { CID } from "multiformats/cid";
import { onTestFinished } from "vitest";

import { readStreamBounded, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { DAG_PB } from "../../../offchain/src/storage/unixfs.ts";

const MIB = 1 << 20;
const nothing = cidOf(sha256Bytes(new Uint8Array(0)));

export interface FakeKubo {
  readonly location: (name: string) => string;
  /** Contents by CID. */
  readonly blocks: Map<string, Uint8Array>;
  readonly pins: Set<string>;
  /** CIDs of pieces of files that it has no more, until they are added again. */
  readonly lost: Set<string>;
  /** The same of pieces that it cannot read. */
  readonly unreadable: Set<string>;
  /** CIDs of blocks that are broken, and what it says of them, until they are removed. */
  readonly broken: Map<string, string>;
  /** What was asked for: `add`, `files/cp`, …. */
  readonly asked: string[];
  /** Answers in place of the node; false where it does not. */
  misbehave: (command: string, response: ServerResponse, query: URLSearchParams) => boolean;
}

const missing = (cid: string | null | undefined) =>
  `block was not found locally (offline): ipld: could not find ${cid}`;

/** CIDs of a file's pieces. */
export const piecesOf = (content: Uint8Array): string[] =>
  Array.from({ length: Math.max(1, Math.ceil(content.length / MIB)) }, (_, index) =>
    cidOf(sha256Bytes(content.subarray(index * MIB, (index + 1) * MIB))),
  );

function contentOf(body: Uint8Array): Uint8Array {
  const text = Buffer.from(body);
  const start = text.indexOf("\r\n\r\n") + 4;
  return Uint8Array.from(text.subarray(start, text.lastIndexOf("\r\n--", text.length - 5)));
}

/** A node that ends with the test. */
export async function startFakeKubo(): Promise<FakeKubo> {
  const blocks = new Map<string, Uint8Array>();
  const pins = new Set<string>();
  const lost = new Set<string>();
  const unreadable = new Set<string>();
  const broken = new Map<string, string>();
  const tree = new Map<string, string>();
  const asked: string[] = [];
  /** Paths by the CIDs that they were given. */
  const directories = new Map<string, string>();
  const directoryOf = (path: string): string => {
    const { multihash } = CID.parse(cidOf(sha256Bytes(Buffer.from(path))));
    const cid = CID.createV1(DAG_PB, multihash).toString();
    directories.set(cid, path);
    return cid;
  };
  const namesIn = (path: string): string[] => {
    const inside = [...tree.keys()].filter((each) => each.startsWith(`${path}/`));
    return [...new Set(inside.map((each) => each.slice(path.length + 1).split("/")[0] ?? ""))];
  };
  /** What `/ipfs/CID/NAME` names; the words for that there is none. */
  const named = (path: string): { readonly cid: string } | string => {
    const [, , directory = "", name = ""] = path.split("/");
    const cid = tree.get(`${directories.get(directory)}/${name}`);
    return cid === undefined ? `no link named "${name}" under ${directory}` : { cid };
  };
  /** Pins are walked by their roots. */
  const pinCheck = (): string | undefined =>
    [...pins]
      .filter((cid) => CID.parse(cid).code === DAG_PB)
      .map((cid) => broken.get(cid))
      .find((words) => words);
  /** The pin that holds a block. */
  const holderOf = (cid: string): string | undefined =>
    [...pins].find((pin) => pin === cid || piecesOf(blocks.get(pin) ?? new Uint8Array(0)).includes(cid));
  let base = "";

  const commands: Record<string, (query: URLSearchParams, body: Uint8Array) => object | Uint8Array | string> = {
    add: (query, body) => {
      const content = contentOf(body);
      const digest = sha256Bytes(content);
      const raw = CID.parse(cidOf(digest));
      const cid = content.length <= MIB ? raw.toString() : CID.createV1(DAG_PB, raw.multihash).toString();
      // Like the real one: what it has it does not write again.
      if (!blocks.has(cid)) blocks.set(cid, content);
      for (const piece of piecesOf(content)) lost.delete(piece);
      if (query.get("pin") === "true") pins.add(cid);
      return { Name: cid, Hash: cid, Size: String(content.length) };
    },
    cat: (query) => {
      const words = broken.get(query.get("arg") ?? "");
      if (words !== undefined) return words;
      const content = blocks.get(query.get("arg") ?? "");
      const from = Number(query.get("offset"));
      const [piece = ""] = content ? piecesOf(content.subarray(from, from + MIB)) : [];
      // The first is looked for when the answer is under way, which then ends early.
      if (lost.has(piece) || unreadable.has(piece) || broken.has(piece))
        return from === 0 ? new Uint8Array(0) : "failed to fetch all nodes";
      return content?.subarray(from, from + Number(query.get("length"))) ?? missing(query.get("arg"));
    },
    "files/stat": (query) => {
      const path = query.get("arg") ?? "";
      if (!path.startsWith("/ipfs/")) {
        if (namesIn(path).length === 0) return "file does not exist";
        return { Hash: directoryOf(path), Size: 0, CumulativeSize: 0, Blocks: 0, Type: "directory" };
      }
      const found = named(path);
      if (typeof found === "string") return found;
      const content = blocks.get(found.cid);
      if (content === undefined) return missing(found.cid);
      const Size = content.length;
      return broken.get(found.cid) ?? { Hash: found.cid, Size, CumulativeSize: 0, Blocks: 0, Type: "file" };
    },
    "dag/resolve": (query) => {
      const found = named(query.get("arg") ?? "");
      return typeof found === "string" ? found : { Cid: { "/": found.cid }, RemPath: "" };
    },
    "block/stat": (query) => {
      const Key = query.get("arg") ?? "";
      if (broken.has(Key)) return broken.get(Key)!;
      if (unreadable.has(Key)) return "open /blocks/XY/block.data: too many open files";
      const file = [...blocks.values()].find((content) => piecesOf(content).includes(Key));
      if (file === undefined || lost.has(Key)) return missing(Key);
      return { Key, Size: Math.min(MIB, file.length - piecesOf(file).indexOf(Key) * MIB) };
    },
    ls: (query) => {
      const words = broken.get(query.get("arg") ?? "");
      if (words !== undefined) return words;
      const file = blocks.get(query.get("arg") ?? "");
      const names = namesIn(directories.get(query.get("arg") ?? "") ?? "");
      const Links = file
        ? piecesOf(file).map((Hash) => ({ Name: "", Hash, Type: 2 }))
        : names.map((Name) => ({ Name, Hash: nothing, Type: 0 }));
      return { Objects: [{ Hash: query.get("arg"), Links }] };
    },
    "files/cp": (query) => {
      const [from = "", to = ""] = query.getAll("arg");
      if (tree.has(to) && query.get("force") !== "true")
        return "cp: cannot put node: directory already has entry by that name";
      tree.set(to, from.slice("/ipfs/".length));
      return new Uint8Array(0);
    },
    "files/rm": (query) => {
      const path = query.get("arg") ?? "";
      for (const each of tree.keys()) if (each === path || each.startsWith(`${path}/`)) tree.delete(each);
      return new Uint8Array(0);
    },
    "files/flush": () => ({ Cid: nothing }),
    "pin/rm": (query) =>
      pins.delete(query.get("arg") ?? "") ? { Pins: [query.get("arg")] } : "not pinned or pinned indirectly",
    // The real one, too, says in the list what it does not find.
    refs: (query) => {
      const root = query.get("arg") ?? "";
      const content = blocks.get(root);
      const words = broken.get(root) ?? (content ? undefined : missing(root));
      if (words !== undefined || !content) return { Ref: "", Err: words };
      const pieces = CID.parse(root).code === DAG_PB ? piecesOf(content) : [];
      return Buffer.from(pieces.map((Ref) => `${JSON.stringify({ Ref, Err: "" })}\n`).join(""));
    },
    "block/rm": (query) => {
      const words = pinCheck();
      if (words !== undefined) return { Hash: nothing, Error: `pin check failed: ${words}` };
      const removed = query.getAll("arg").map((cid) => {
        const holder = holderOf(cid);
        if (holder !== undefined)
          return { Hash: cid, Error: holder === cid ? "pinned: recursive" : `pinned via ${holder}` };
        blocks.delete(cid);
        broken.delete(cid);
        return { Hash: cid };
      });
      return Buffer.from(removed.map((each) => `${JSON.stringify(each)}\n`).join(""));
    },
    "repo/stat": () => ({ RepoSize: 1_000, StorageMax: 10_000_000_000, NumObjects: 1, RepoPath: "", Version: "" }),
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? "/", base);
    const command = url.pathname.slice("/api/v0/".length);
    asked.push(command);
    if (fake.misbehave(command, response, url.searchParams)) return;
    const body = await readStreamBounded(request as AsyncIterable<Uint8Array>, 1 << 27);
    const said = commands[command]?.(url.searchParams, body) ?? "unknown command";
    if (said instanceof Uint8Array) return void response.end(said);
    response.setHeader("content-type", "application/json");
    if (typeof said === "string") response.statusCode = 500;
    response.end(JSON.stringify(typeof said === "string" ? { Message: said, Code: 0, Type: "error" } : said));
  };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  // On a busy machine a caller may use a connection again just as the server gives it up.
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const fake: FakeKubo = {
    location: (name) => `ipfs+${base}/${name}`,
    blocks,
    pins,
    lost,
    unreadable,
    broken,
    asked,
    misbehave: () => false,
  };
  return fake;
}
