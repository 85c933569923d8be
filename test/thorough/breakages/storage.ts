/** Defences of `storage`. */
import type { Breakage } from "./breakage.ts";

export const storage: readonly Breakage[] = [
  {
    name: "a blob from IPFS is whatever the node says",
    file: "offchain/src/storage/node/kuboStore.ts",
    text: "  if (sha256Bytes(bytes) !== digest) throw corrupted(kept.node, digest, entry);\n",
    instead: "",
    tests: ["test/offchain/storage/kuboStore.test.ts"],
  },
  {
    name: "a piece of a verified blob is believed when it comes from the node again",
    file: "offchain/src/storage/node/kuboStore.ts",
    text: "|| sha256Bytes(piece) !== own)",
    instead: ")",
    tests: ["test/offchain/storage/kuboStore.test.ts"],
  },
  {
    name: "an IPFS node is read for as long as it sends",
    file: "offchain/src/storage/node/kuboNode.ts",
    text: "if (at + chunk.length > length) return undefined;",
    instead: "if (at + chunk.length > length) continue;",
    tests: ["test/offchain/storage/kuboStore.test.ts"],
  },
  {
    name: "a piece in a CAR is not compared with its CID",
    file: "offchain/src/storage/car.ts",
    text: "    if (hash.digest() !== head.digest) throw",
    instead: "    if (head.digest === null) throw",
    tests: ["test/offchain/storage/unixfs.test.ts"],
  },
  {
    name: "the nodes of a file in a CAR may be any",
    file: "offchain/src/storage/car.ts",
    text: "if (!right || !isEqual(",
    instead: "if (!right && !isEqual(",
    tests: ["test/offchain/storage/unixfs.test.ts"],
  },
  {
    name: "a short answer of an IPFS node is read for as long as it sends",
    file: "offchain/src/storage/node/boundedAnswers.ts",
    text: "      left -= chunk.length;\n",
    instead: "",
    tests: ["test/offchain/storage/kuboStore.test.ts"],
  },
  {
    name: "an IPFS node sends requests elsewhere",
    file: "offchain/src/storage/node/boundedAnswers.ts",
    text: '{ ...init, redirect: "error" }',
    instead: "init",
    tests: ["test/offchain/storage/kuboStore.test.ts"],
  },
  {
    name: "an IPFS node that kept something else is believed to have kept the blob",
    file: "offchain/src/storage/node/kuboStore.ts",
    text: "if (sound && (await",
    instead: "if (sound || bytes > 0 || (await",
    tests: ["test/offchain/storage/kuboStore.test.ts"],
  },
  {
    name: "an IPFS node is sent what is not what was expected",
    file: "offchain/src/storage/node/kuboStore.ts",
    text: "  checkDigest(digest, expected);\n",
    instead: "",
    tests: ["test/offchain/storage/kuboStore.test.ts"],
  },
  {
    name: "what one state deletes is unpinned for all states of the node",
    file: "offchain/src/storage/node/kuboStore.ts",
    text: "if (entry && !(await hasElsewhere(kept, digest)))",
    instead: "if (entry)",
    tests: ["test/offchain/storage/kuboStore.test.ts"],
  },
  {
    name: "a blob is stored under another digest than it has",
    file: "offchain/src/storage/expected.ts",
    text: "if (expected.digest !== undefined && expected.digest !== digest) throw",
    instead: "if (expected.digest === null && expected.digest !== digest) throw",
    tests: ["test/offchain/storage/blobStore.test.ts"],
  },
  {
    name: "a manifest says how much is read of its shards",
    file: "offchain/src/storage/checkpoint.ts",
    text: "if (parameters.offset !== offset || parameters.bytes !== bytes)",
    instead: "if (parameters.offset !== offset && bytes < 0)",
    tests: [
      "test/offchain/storage/checkpoint.test.ts",
      "test/offchain/run/documents.test.ts",
      "test/offchain/validator/aggregate.test.ts",
    ],
  },
];
