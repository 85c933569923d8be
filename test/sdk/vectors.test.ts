import { readFileSync } from "node:fs";
import { concat, keccak256 } from "ethers";
import { type Static, type TSchema, Type } from "typebox";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";
import * as protocol from "@cotrain/sdk/protocol";
import { buildVectors, type ProtocolVectors, vectorsPath } from "../vectors/generate.ts";

const vectors = JSON.parse(readFileSync(vectorsPath, "utf8")) as ProtocolVectors;
const structNames = Object.keys(protocol.structTypes) as protocol.StructName[];

type Hex = protocol.Hex;

/** A vector's fields as they are on the wire: narrow integers are numbers there. */
function wireOf(name: protocol.StructName, message: Readonly<Record<string, string>>): unknown {
  return Object.fromEntries(
    protocol.structTypes[name].map((field) => {
      const value = message[field.name];
      return [field.name, /^uint(8|16|32)$/.test(field.type) ? Number(value) : value];
    }),
  );
}

/** Whether a leaf lies under a root: OpenZeppelin's MerkleProof.processProof, by hand. */
function proves(root: string, leaf: string, proof: readonly string[]): boolean {
  return proof.reduce((node, sibling) => keccak256(concat([node, sibling].sort())), leaf) === root;
}

const wordsOf = (encoded: string): bigint[] =>
  (encoded.slice(2).match(/.{64}/g) ?? []).map((word) => BigInt(`0x${word}`));
const hex32 = (word: bigint): Hex => `0x${word.toString(16).padStart(64, "0")}`;
const hex20 = (word: bigint): protocol.Address => `0x${word.toString(16).padStart(40, "0")}`;
const byAccount = (x: { account: string }, y: { account: string }): number => (x.account < y.account ? -1 : 1);
const paramsOf = (message: Readonly<Record<string, string>>): protocol.RunParams =>
  Object.fromEntries(
    protocol.runParameters.map(({ name, type }) => {
      const text = message[name] ?? "";
      return [name, type === "uint128" ? BigInt(text) : Number(text)];
    }),
  ) as unknown as protocol.RunParams;

describe("the committed vectors", () => {
  it("are read, each kind of them, by the implementation in Python", () => {
    const python = readFileSync(new URL("../interop/cotrain_interop/vectors.py", import.meta.url), "utf8");
    for (const kind of Object.keys(vectors)) expect(python).toMatch(new RegExp(`^ {8}"${kind}": _`, "m"));
  });

  it("are what the generator writes", async () => {
    expect(vectors).toEqual(JSON.parse(JSON.stringify(await buildVectors())));
  });

  it("have every struct", () => {
    expect(Object.keys(vectors.structs).sort()).toEqual([...structNames].sort());
  });
});

describe.each(structNames)("%s", (name) => {
  const vector = vectors.structs[name]!;

  it("has the type string of the protocol", () => {
    const fields = protocol.structTypes[name].map((field) => `${field.type} ${field.name}`);
    expect(`${name}(${fields.join(",")})`).toBe(vector.type);
  });

  it.each(vector.cases)("case %$: wire form, struct hash, digest and signer", async (entry) => {
    const wire = wireOf(name, entry.message);
    const struct = protocol.fromWire(name, wire);
    expect(protocol.toWire(name, struct)).toEqual(wire);
    expect(protocol.structHash(name, struct)).toBe(entry.structHash);
    const domain = protocol.domainFor(Number(entry.chainId), entry.verifyingContract as protocol.Address);
    expect(protocol.structDigest(domain, name, struct)).toBe(entry.digest);
    expect(keccak256(concat(["0x1901", entry.domainSeparator, entry.structHash]))).toBe(entry.digest);
    expect(await protocol.recoverSigner(domain, name, struct, entry.signature as Hex)).toBe(entry.signer);
  });

  it("is signed by viem to the same signature", async () => {
    const entry = vector.cases[0]!;
    const account = privateKeyToAccount(keccak256(new TextEncoder().encode(`key of ${name}`)) as Hex);
    const domain = protocol.domainFor(Number(entry.chainId), entry.verifyingContract as protocol.Address);
    const struct = protocol.fromWire(name, wireOf(name, entry.message));
    expect(await account.signTypedData(protocol.typedDataOf(domain, name, struct))).toBe(entry.signature);
  });
});

describe("heads", () => {
  it("have the type hash of the protocol", () => {
    expect(protocol.HEAD_TYPE).toBe(vectors.head.type);
    expect(protocol.HEAD_TYPEHASH).toBe(vectors.head.typeHash);
  });

  it.each(vectors.head.cases)("case %$", ({ message, head }) => {
    const fields = message as Record<keyof protocol.Head, string>;
    expect(
      protocol.headHash({
        chainId: BigInt(fields.chainId),
        registry: protocol.asAddress(fields.registry),
        parentHead: protocol.asHead(fields.parentHead),
        runId: protocol.asRunId(fields.runId),
        sequence: BigInt(fields.sequence),
        round: BigInt(fields.round),
        paramsVersion: Number(fields.paramsVersion),
        checkpointDigest: protocol.asDigest(fields.checkpointDigest),
        receiptsRoot: fields.receiptsRoot as Hex,
      }),
    ).toBe(head);
  });

  it.each(vectors.sortitions)("sortitions: %$", ({ blockHash, head, validator, seed, fragments, fragment }) => {
    const drawn = protocol.sortitionSeed(blockHash as Hex, protocol.asHead(head), validator as protocol.Address);
    expect(drawn).toBe(BigInt(seed));
    expect(protocol.drawnFragment(drawn, Number(fragments))).toBe(Number(fragment));
  });
});

describe("ids", () => {
  it.each(vectors.ids)("case %$", (vector) => {
    const { chainId, modelRegistry, runRegistry, sender, salt, terms, modelId, runId, clones } = vector;
    const model = protocol.modelIdOf(
      BigInt(chainId),
      modelRegistry as protocol.Address,
      sender as protocol.Address,
      salt as Hex,
      terms as Hex,
    );
    expect(model).toBe(modelId);
    const [shares, governor, timelock] = vector.implementations as protocol.Address[];
    const made = { shares: shares!, governor: governor!, timelock: timelock! };
    expect(protocol.modelContractsAt(modelRegistry as protocol.Address, made, model)).toEqual(clones);
    expect(protocol.runIdOf(BigInt(chainId), runRegistry as protocol.Address, model, salt as Hex)).toBe(runId);
  });

  it.each(vectors.leases)("lease %$", ({ chainId, escrow, terms, leaseId, vault }) => {
    const place = { chainId: Number(chainId), escrow: escrow as protocol.Address };
    const about = { ...terms, notice: Number(terms["notice"]) } as unknown as protocol.LeaseTerms;
    expect(protocol.leaseOfTerms(place, about)).toBe(leaseId);
    expect(protocol.escrowVaultAt(place.escrow, protocol.asLeaseId(leaseId))).toBe(vault);
  });

  it.each(vectors.blobs)("digest and CID of a blob: %$", ({ bytes, digest, cid }) => {
    expect(protocol.sha256(Buffer.from(bytes.slice(2), "hex"))).toBe(digest);
    expect(protocol.cidOf(protocol.asDigest(digest))).toBe(cid);
    expect(protocol.digestOfCid(cid)).toBe(digest);
  });
});

describe("epochs", () => {
  it.each(vectors.epochs)("of $epochLength seconds from $start on", ({ start, epochLength, cases }) => {
    const clock = { start: Number(start), epochLength: Number(epochLength) };
    for (const { time, epoch, end } of cases) {
      expect(protocol.epochAt(clock, Number(time))).toBe(Number(epoch));
      expect(protocol.endOfEpoch(clock, Number(epoch))).toBe(Number(end));
    }
  });
});

describe("trees", () => {
  const { receipt, reward, commitment } = vectors.leaves;

  it("have the leaf encodings of the protocol", () => {
    expect(protocol.receiptLeafEncoding).toEqual(receipt.types);
    expect(protocol.rewardLeafEncoding).toEqual(reward.types);
    expect(protocol.commitmentLeafEncoding).toEqual(commitment.types);
  });

  it.each([...receipt.trees, ...reward.trees, ...commitment.trees])("prove each leaf: %$", ({ root, leaves }) => {
    for (const { encoded, leaf, proof } of leaves) {
      expect(keccak256(keccak256(encoded))).toBe(leaf);
      expect(proves(root, leaf, proof)).toBe(true);
    }
  });

  it.each(receipt.trees)("of receipts: %$", ({ root, leaves }) => {
    const rows = leaves.map(({ encoded }) => {
      const [receiptHash = 0n, worker = 0n, beneficiary = 0n, tokens = 0n, outcome = 0n] = wordsOf(encoded);
      return {
        receiptHash: hex32(receiptHash),
        worker: hex20(worker),
        beneficiary: hex20(beneficiary),
        tokens,
        outcome: Number(outcome),
      };
    });
    expect(protocol.receiptsRoot(rows)).toBe(root);
    expect(protocol.receiptsRoot(rows.toReversed())).toBe(root);
  });

  it.each(reward.trees)("of rewards: %$", ({ root, leaves }) => {
    const rows = leaves.map(({ encoded }) => {
      const [, , , account = 0n, amount = 0n] = wordsOf(encoded);
      return { account: hex20(account), amount };
    });
    const tree = protocol.rewardTree(
      { modelId: protocol.asModelId(reward.modelId), index: Number(reward.index) },
      rows,
    );
    expect(tree.root).toBe(root);
    expect(tree.total).toBe(rows.reduce((sum, row) => sum + row.amount, 0n));
    for (const [index, row] of rows.entries()) {
      const found = tree.proofOf(row.account);
      expect(found).toEqual({ amount: row.amount, proof: leaves[index]!.proof });
    }
    expect(tree.proofOf(`0x${"12".repeat(20)}`)).toBeUndefined();
  });

  it.each(commitment.trees)("of commitments: %$", ({ root, leaves }) => {
    const rows = leaves.map(({ encoded }) => {
      const [j = 0n, step = 0n, state = 0n, data = 0n, scalars = 0n, update = 0n] = wordsOf(encoded);
      return {
        j: Number(j),
        step,
        state: hex32(state),
        data: hex32(data),
        scalars: hex32(scalars),
        update: hex32(update),
      };
    });
    expect(protocol.commitmentRoot(rows)).toBe(root);
  });
});

describe("run parameters", () => {
  it("have the type string of the protocol", () => {
    const fields = protocol.runParameters.map(({ name, type }) => `${type} ${name}`);
    expect(`RunParams(${fields.join(",")})`).toBe(vectors.runParams.type);
  });

  it.each(vectors.runParams.cases)("encode: %$", ({ message, encoded }) => {
    const params = paramsOf(message);
    expect(protocol.encodeRunParams(params)).toBe(encoded);
    expect(protocol.runParamsFromWire(protocol.runParamsToWire(params))).toEqual(params);
  });

  it.each(vectors.runParams.rules.filter((rule) => rule.valid))("allow %$", ({ message, fragments }) => {
    expect(() => protocol.checkRunParams(paramsOf(message), Number(fragments))).not.toThrow();
  });

  it.each(vectors.runParams.rules.filter((rule) => !rule.valid))("refuse %$", ({ message, fragments }) => {
    expect(() => protocol.checkRunParams(paramsOf(message), Number(fragments))).toThrow(
      expect.objectContaining({ code: "INVALID_PARAMS" }),
    );
  });
});

describe("canonical JSON", () => {
  it.each(vectors.canonicalJson)("$json", ({ json, canonical, digest }) => {
    const value: unknown = JSON.parse(json);
    expect(protocol.canonicalJson(value)).toBe(canonical);
    expect(protocol.digestOfJson(value)).toBe(digest);
    expect(protocol.canonicalJson(JSON.parse(canonical))).toBe(canonical);
  });
});

describe("sessions", () => {
  it.each(vectors.sessions)("$method $path", async ({ key, method, path, body, counter, mac }) => {
    const input = { method, path, body: protocol.asDigest(body), counter: Number(counter) };
    expect(await protocol.sessionMac(key as Hex, input)).toBe(mac);
    expect(await protocol.verifySessionMac(key as Hex, input, mac)).toBe(true);
  });
});

describe("fragment tables", () => {
  it.each(vectors.tables)("$fragments fragments", ({ fragments, specs, table, digest }) => {
    expect(protocol.fragmentTable(specs, fragments)).toEqual(table);
    expect(protocol.tableDigest(table)).toBe(digest);
  });
});

/** Every document's schema by its name. */
const schemas = new Map(
  Object.entries(protocol).flatMap(([name, item]): [string, TSchema][] =>
    Type.IsObject(item) && "version" in item.properties ? [[name, item]] : [],
  ),
);

describe("the documents of a round", () => {
  const { round } = vectors;
  const domain = protocol.domainFor(Number(round.chainId), round.runRegistry as protocol.Address);

  /** The last vector of a document, parsed from its canonical text. */
  function read<T extends TSchema>(name: string, schema: T): { digest: string; document: Static<T> } {
    const { canonical, digest } = round.documents.findLast((vector) => vector.name === name)!;
    return { digest, document: protocol.parseDocument(name, schema, JSON.parse(canonical)) };
  }
  const definition = read("Definition", protocol.Definition);
  const checkpoint = read("CheckpointManifest", protocol.CheckpointManifest);
  const receipts = read("ReceiptsFile", protocol.ReceiptsFile);
  const screening = read("ScreeningFile", protocol.ScreeningFile);
  const verdicts = read("VerdictsFile", protocol.VerdictsFile);
  const inputs = read("EpochInputs", protocol.EpochInputs);
  const rewards = read("RewardsFile", protocol.RewardsFile);
  const epoch = read("EpochManifest", protocol.EpochManifest);
  const initial = round.documents.find(({ name }) => name === "CheckpointManifest")!;
  const leaves = receipts.document.receipts.map(({ receipt, ack, tokens, outcome }) => ({
    receiptHash: ack.receiptHash,
    worker: receipt.worker,
    beneficiary: receipt.beneficiary,
    tokens: BigInt(tokens),
    outcome,
  }));

  it("are of every kind", () => {
    expect(new Set(round.documents.map(({ name }) => name))).toEqual(new Set(schemas.keys()));
  });

  it.each(round.documents)("$name: canonical text, digest, CID, and the document back", (vector) => {
    expect(protocol.canonicalJson(vector.document)).toBe(vector.canonical);
    expect(protocol.digestOfJson(vector.document)).toBe(vector.digest);
    expect(protocol.sha256(new TextEncoder().encode(vector.canonical))).toBe(vector.digest);
    expect(protocol.cidOf(protocol.asDigest(vector.digest))).toBe(vector.cid);
    const parsed = protocol.parseDocument(vector.name, schemas.get(vector.name)!, JSON.parse(vector.canonical));
    expect(parsed).toEqual(vector.document);
  });

  it("name the definition's parts", () => {
    const { table, data, initialParameters } = definition.document;
    expect(data).toBe(read("DataManifest", protocol.DataManifest).digest);
    expect(read("Build", protocol.Build).document.definition).toBe(definition.digest);
    expect(protocol.tableDigest(table)).toBe(checkpoint.document.table);
    const specs = table.map(({ name, shape }) => ({ name, shape, ...(name.startsWith("layer.0.") && { layer: 0 }) }));
    expect(protocol.fragmentTable(specs, 2)).toEqual(table);
    const { fragments } = protocol.parseDocument("manifest", protocol.CheckpointManifest, initial.document);
    expect(protocol.digestOfJson(fragments.map(({ digest }) => digest))).toBe(initialParameters);
  });

  it("hold receipts that their workers signed and the poster acknowledged", async () => {
    expect(receipts.document.receipts[0]!.receipt).toMatchObject({
      assignment: read("Assignment", protocol.Assignment).digest,
      payloadDigest: read("PayloadHeader", protocol.PayloadHeader).digest,
      build: read("Build", protocol.Build).digest,
      baseDigest: initial.digest,
      commitment: round.commitment.root,
      leaves: round.commitment.leaves.length,
    });
    for (const entry of receipts.document.receipts) {
      const receipt = protocol.fromWire("Receipt", entry.receipt);
      const ack = protocol.fromWire("Ack", entry.ack);
      expect(protocol.hashReceipt(receipt)).toBe(ack.receiptHash);
      expect(protocol.digestOfJson(entry.assignment)).toBe(receipt.assignment);
      expect(await protocol.recoverSigner(domain, "Receipt", receipt, entry.signature)).toBe(receipt.worker);
      expect(await protocol.recoverSigner(domain, "Ack", ack, entry.ackSignature)).toBe(round.poster);
    }
  });

  it("chain the checkpoint to the one before it", () => {
    expect(checkpoint.document).toMatchObject({
      parent: initial.digest,
      receipts: receipts.digest,
      screening: screening.digest,
    });
    expect(screening.document.workers.map(({ worker, outcome }) => [worker, outcome])).toEqual(
      leaves.map(({ worker, outcome }) => [worker, outcome]),
    );
    const root = protocol.receiptsRoot(leaves);
    expect(root).toBe(round.receiptsRoot);
    const headAt = (at: number, parentHead: string, checkpointDigest: string, receiptsRoot: Hex): string =>
      protocol.headHash({
        chainId: BigInt(round.chainId),
        registry: protocol.asAddress(round.checkpointRegistry),
        parentHead: protocol.asHead(parentHead),
        runId: protocol.asRunId(checkpoint.document.runId),
        sequence: BigInt(at),
        round: BigInt(at),
        paramsVersion: 1,
        checkpointDigest: protocol.asDigest(checkpointDigest),
        receiptsRoot,
      });
    expect(headAt(0, protocol.zeroHash, initial.digest, protocol.zeroHash)).toBe(round.initialHead);
    expect(headAt(1, round.initialHead, checkpoint.digest, root)).toBe(round.head);
  });

  it("settle the epoch: verdicts and receipts give the inputs, these the rewards and their root", async () => {
    const [counted] = inputs.document.epochs;
    const [head] = counted!.heads;
    expect(head).toMatchObject({
      head: round.head,
      checkpointDigest: checkpoint.digest,
      receiptsRoot: round.receiptsRoot,
    });
    for (const { verdict, signature } of verdicts.document.verdicts) {
      const struct = protocol.fromWire("Verdict", verdict);
      expect(await protocol.recoverSigner(domain, "Verdict", struct, signature)).toBe(round.validator);
    }
    const contributions = protocol.contributionsOf(
      [{ head: head!.head, paramsVersion: head!.paramsVersion, receipts: leaves }],
      verdicts.document.verdicts.map(({ verdict }) => ({ ...verdict, value: BigInt(verdict.value) })),
      head!.minParamsVersion,
    );
    const amounts = protocol.shareOut(contributions, BigInt(counted!.budget));
    const earned = [...contributions].map(([account, contribution]) => ({
      account,
      contribution: String(contribution),
      amount: String(amounts.get(account)),
    }));
    expect(counted!.contributions).toEqual(earned.sort(byAccount));
    expect(rewards.document.leaves).toEqual(counted!.contributions.map(({ account, amount }) => ({ account, amount })));
    const { modelId, kind, index } = rewards.document;
    const { root, total } = protocol.rewardTree(
      { modelId: protocol.asModelId(modelId), kind, index },
      rewards.document.leaves.map(({ account, amount }) => ({ account, amount: BigInt(amount) })),
    );
    expect(epoch.document).toMatchObject({
      head: round.head,
      root,
      total: String(total),
      inputs: inputs.digest,
      verdicts: verdicts.digest,
      rewards: rewards.digest,
    });
  });
});

// foundation 10
describe("work that counts nothing", () => {
  const [worker, head] = [`0x${"11".repeat(20)}`, `0x${"22".repeat(32)}`] as const;
  const leaf = { receiptHash: head, worker, beneficiary: worker, tokens: 5n, outcome: 0 } as const;
  const verdict = (kind: number, value: bigint) => ({ head, kind, validator: worker, value });
  const { replay, aggregate, utility } = protocol.verdictKind;
  it.each([
    [undefined, 0, 1, []],
    [undefined, 0, 1, [verdict(replay, 0n), verdict(utility, 0n)]],
    ["late", 4, 1, []],
    ["unknownOutcome", 65_535, 1, []],
    ["parametersTooOld", 0, 2, []],
    ["aggregateRejected", 0, 1, [verdict(aggregate, 0n)]],
  ] as const)("has a reason exactly where its quality is 0: %s", (reason, outcome, least, verdicts) => {
    const receipt = { ...leaf, outcome };
    const of = { head, paramsVersion: 1, receipts: [receipt] };
    expect(protocol.zeroReasonOf(of, receipt, verdicts, least)).toBe(reason);
    expect(protocol.quality(of, receipt, verdicts, least) === 0n).toBe(reason !== undefined);
    expect(reason ? protocol.zeroReasons[reason] : "none").toMatch(/^[a-z]/);
  });
});

describe("contributions", () => {
  it.each(vectors.contributions)("$name", ({ heads, verdicts, minParamsVersion, budget, result }) => {
    const contributions = protocol.contributionsOf(
      heads.map(({ head, paramsVersion, receipts }) => ({
        head: head as Hex,
        paramsVersion,
        receipts: receipts.map((leaf) => ({
          receiptHash: leaf.receiptHash as Hex,
          worker: leaf.worker as protocol.Address,
          beneficiary: leaf.beneficiary as protocol.Address,
          tokens: BigInt(leaf.tokens),
          outcome: leaf.outcome,
        })),
      })),
      verdicts.map(({ head, kind, worker, validator, value }) => ({
        head: head as Hex,
        kind,
        worker: worker as protocol.Address,
        validator: validator as protocol.Address,
        value: BigInt(value),
      })),
      minParamsVersion,
    );
    const amounts = protocol.shareOut(contributions, BigInt(budget));
    const rows = [...contributions].map(([account, contribution]) => ({
      account,
      contribution: String(contribution),
      amount: String(amounts.get(account)),
    }));
    expect(rows.sort(byAccount)).toEqual([...result].sort(byAccount));
  });
});

describe("revenue", () => {
  it.each(vectors.revenue)("$name", ({ transfers, epochs, excluded, treasury, available, amounts }) => {
    const told = transfers.map(({ from, to, amount, time }) => ({
      from: protocol.asAddress(from),
      to: protocol.asAddress(to),
      amount: BigInt(amount),
      time: Number(time),
    }));
    const times = epochs.map(({ start, end }) => ({ start: Number(start), end: Number(end) }));
    const parts = protocol.holdingWeights(told, times).map((weights, at) => {
      const arrived = BigInt(epochs[at]!.arrived);
      return protocol.revenueParts({ arrived, weights }, excluded.map(protocol.asAddress)).parts;
    });
    const terms = { available: BigInt(available), treasury: protocol.asAddress(treasury) };
    const shares = [...protocol.revenueShares(parts, terms)].map(([account, amount]) => ({
      account: account as string,
      amount: amount.toString(),
    }));
    expect(shares.sort(byAccount)).toEqual(amounts);
  });
});
