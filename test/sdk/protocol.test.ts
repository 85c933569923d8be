import * as fc from "fast-check";
import { AbiCoder, concat, getAddress, keccak256, TypedDataEncoder, Wallet } from "ethers";
import { describe, expect, it } from "vitest";
import * as protocol from "@cotrain/sdk/protocol";
import type { Address, Hex } from "@cotrain/sdk/protocol";

const structNames = Object.keys(protocol.structTypes) as protocol.StructName[];
const bytes32 = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => `0x${Buffer.from(bytes).toString("hex")}` as const);
const address = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => `0x${Buffer.from(bytes).toString("hex")}` as const);
const uint = (bits: number) => fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n });

/** Any value of a field's type, as viem takes it. */
function valueOf(type: string): fc.Arbitrary<unknown> {
  if (type === "bytes32") return bytes32;
  if (type === "address") return address;
  const bits = Number(type.slice("uint".length));
  return bits <= 48 ? uint(bits).map(Number) : uint(bits);
}

const structOf = <N extends protocol.StructName>(name: N): fc.Arbitrary<protocol.Struct<N>> =>
  fc.record(
    Object.fromEntries(protocol.structTypes[name].map((field) => [field.name, valueOf(field.type)])),
  ) as unknown as fc.Arbitrary<protocol.Struct<N>>;

const refusal = (code: string) => expect.objectContaining({ name: "ProtocolError", code });
const hash = (digit: string): Hex => `0x${digit.repeat(64)}`;
/** What a validator's sortition is seeded with, by the block that decides it. */
const seedOf = (block: number, head: protocol.HeadHash): bigint =>
  protocol.sortitionSeed(keccak256(`0x${block.toString(16).padStart(4, "0")}`) as Hex, head, `0x${"55".repeat(20)}`);

describe("canonical JSON", () => {
  it("does not depend on the order in which keys were written, and reads back as the same value", () => {
    const json = fc.jsonValue({ noUnicodeString: false }).filter((value) => !JSON.stringify(value).includes("-0"));
    fc.assert(
      fc.property(json, (value) => {
        const reordered: unknown = JSON.parse(JSON.stringify(value), (_, item: unknown) =>
          typeof item === "object" && item !== null && !Array.isArray(item)
            ? Object.fromEntries(Object.entries(item).reverse())
            : item,
        );
        const text = protocol.canonicalJson(value);
        expect(protocol.canonicalJson(reordered)).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(protocol.canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });

  it("writes bigints as decimal strings and leaves undefined properties out", () => {
    expect(protocol.canonicalJson({ b: 2n ** 64n, a: undefined, c: [-1n] })).toBe(
      '{"b":"18446744073709551616","c":["-1"]}',
    );
  });

  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = [cyclic];
  it.each([
    ["NaN", { a: [Number.NaN] }, "$.a[0] is NaN"],
    ["infinity", Number.NEGATIVE_INFINITY, "$ is -Infinity"],
    ["undefined", undefined, "$ is undefined"],
    ["undefined in a list", [undefined], "$[0] is undefined"],
    // eslint-disable-next-line no-sparse-arrays -- a hole is what is tested
    ["a hole in a list", [1, , 2], "$[1] is undefined"],
    ["a function", { f: () => 1 }, "$.f is a function"],
    ["a symbol", Symbol("x"), "$ is a symbol"],
    ["a date", new Date(0), "$ is an object of a class"],
    ["a map", { m: new Map() }, "$.m is an object of a class"],
    ["bytes", new Uint8Array(2), "$ is an object of a class"],
    ["a lone surrogate", ["\ud800"], "$[0] is text with a lone surrogate"],
    ["a lone surrogate in a key", { "\udfff": 1 }, "A key of $ is text with a lone surrogate"],
    ["a cycle", cyclic, "$.self[0] is part of itself"],
  ])("refuses %s", (_, value, place) => {
    expect(() => protocol.canonicalJson(value)).toThrow(refusal("NOT_JSON"));
    expect(() => protocol.canonicalJson(value)).toThrow(`${place}, which JSON cannot hold.`);
  });

  it("takes one object in two places, which is no cycle", () => {
    const shared = { x: 1 };
    expect(protocol.canonicalJson([shared, shared])).toBe('[{"x":1},{"x":1}]');
  });
});

describe("ids", () => {
  it.each([protocol.asModelId, protocol.asRunId, protocol.asDigest, protocol.asHead])("are lower case: %o", (as) => {
    expect(as(hash("A"))).toBe(hash("a"));
    for (const bad of [
      "",
      "0x",
      hash("a").slice(2),
      `${hash("a")}0`,
      hash("a").slice(0, -1),
      hash("g"),
      `${hash("a")}\n`,
    ])
      expect(() => as(bad)).toThrow(refusal("MALFORMED_ID"));
  });

  it("of accounts are lower case too", () => {
    expect(protocol.asAddress(getAddress(`0x${"ab".repeat(20)}`))).toBe(`0x${"ab".repeat(20)}`);
    for (const bad of ["vitalik.eth", `0x${"ab".repeat(19)}`, `0x${"ab".repeat(21)}`, ""])
      expect(() => protocol.asAddress(bad)).toThrow(refusal("MALFORMED_ID"));
  });

  it("name bytes by digest or by CID, each computed from the other", () => {
    fc.assert(
      fc.property(bytes32, (digest) => {
        const cid = protocol.cidOf(protocol.asDigest(digest));
        expect(cid).toMatch(/^bafkrei[a-z2-7]{52}$/);
        expect(protocol.digestOfCid(cid)).toBe(digest);
      }),
    );
  });

  it.each([
    ["nothing", ""],
    ["no CID", "not a cid"],
    ["CID version 0", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"],
    ["dag-pb", "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"],
    ["another hash (blake3)", "bafkr4ihkr4ld3m4gqkjf4reryxsy2s5tkbxprqkow6fin2iiyvreuzzab4"],
    ["a cut CID", "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52z"],
  ])("refuse %s as a CID", (_, text) => {
    expect(() => protocol.digestOfCid(text)).toThrow(refusal("MALFORMED_CID"));
  });
});

describe.each(structNames)("any %s", (name) => {
  const types = { [name]: protocol.structTypes[name].map((field) => ({ ...field })) };

  it("has the hashes that ethers computes and survives the wire", () => {
    fc.assert(
      fc.property(structOf(name), address, fc.integer({ min: 1, max: 2 ** 31 }), (struct, contract, chainId) => {
        const domain = protocol.domainFor(chainId, contract);
        const message = { ...struct } as Record<string, unknown>;
        expect(protocol.structHash(name, struct)).toBe(TypedDataEncoder.hashStruct(name, types, message));
        expect(protocol.structDigest(domain, name, struct)).toBe(TypedDataEncoder.hash({ ...domain }, types, message));
        const wire = protocol.toWire(name, struct);
        expect(protocol.fromWire(name, JSON.parse(JSON.stringify(wire)))).toEqual(struct);
      }),
      { numRuns: 25 },
    );
  });

  it("is refused on the wire when a field is missing, added, of another type or out of range", () => {
    const [struct] = fc.sample(structOf(name), { numRuns: 1, seed: 1 });
    const wire = protocol.toWire(name, struct!) as Readonly<Record<string, unknown>>;
    const refuse = (change: Readonly<Record<string, unknown>>) =>
      expect(() => protocol.fromWire(name, { ...wire, ...change })).toThrow(refusal("MALFORMED_STRUCT"));
    expect(() => protocol.fromWire(name, { ...wire })).not.toThrow();
    refuse({ extra: 1 });
    for (const value of [undefined, null, "text", [], 7])
      expect(() => protocol.fromWire(name, value)).toThrow(refusal("MALFORMED_STRUCT"));
    for (const { name: field, type } of protocol.structTypes[name]) {
      const missing = Object.fromEntries(Object.entries(wire).filter(([key]) => key !== field));
      expect(() => protocol.fromWire(name, missing)).toThrow(refusal("MALFORMED_STRUCT"));
      refuse({ [field]: null });
      if (type === "bytes32")
        for (const bad of [hash("A"), "0x", hash("a").slice(2), `${hash("a")}\n`, 1]) refuse({ [field]: bad });
      else if (type === "address")
        for (const bad of [`0x${"AB".repeat(20)}`, `0x${"ab".repeat(21)}`, ""]) refuse({ [field]: bad });
      else if (/^uint(8|16|32)$/.test(type)) {
        const bits = Number(type.slice(4));
        for (const bad of [-1, 2 ** bits, 0.5, "1", Number.NaN, Number.POSITIVE_INFINITY]) refuse({ [field]: bad });
      } else {
        const bits = BigInt(type.slice(4));
        for (const bad of ["-1", "01", "0x1", "1.0", "", " 1", "1e3", 1, String(2n ** bits)]) refuse({ [field]: bad });
      }
    }
  });
});

describe("signers", () => {
  const wallet = new Wallet(hash("1"));
  const [struct] = fc.sample(structOf("Ack"), { numRuns: 1, seed: 2 }) as [protocol.Ack];
  const contract: Address = `0x${"22".repeat(20)}`;
  const domain = protocol.domainFor(31337, contract);
  const types = { Ack: protocol.structTypes.Ack.map((field) => ({ ...field })) };
  const signature = () => wallet.signTypedData({ ...domain }, types, { ...struct }) as Promise<Hex>;

  it("are recovered in lower case", async () => {
    expect(await protocol.recoverSigner(domain, "Ack", struct, await signature())).toBe(wallet.address.toLowerCase());
  });

  it("differ for another domain, struct or field", async () => {
    const signed = await signature();
    const own = wallet.address.toLowerCase();
    const elsewhere = protocol.domainFor(1, contract);
    expect(await protocol.recoverSigner(elsewhere, "Ack", struct, signed)).not.toBe(own);
    const other = protocol.domainFor(31337, `0x${"33".repeat(20)}`);
    expect(await protocol.recoverSigner(other, "Ack", struct, signed)).not.toBe(own);
    expect(await protocol.recoverSigner(domain, "Ack", { ...struct, tokens: struct.tokens + 1n }, signed)).not.toBe(
      own,
    );
  });

  it("are not recovered from what the contracts refuse: another length, high s, another v", async () => {
    const signed = await signature();
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const r = signed.slice(0, 66);
    const s = BigInt(`0x${signed.slice(66, 130)}`);
    const v = signed.slice(130);
    const mirrored = `${r}${(order - s).toString(16).padStart(64, "0")}${v === "1b" ? "1c" : "1b"}` as Hex;
    const lowV = `${signed.slice(0, 130)}${v === "1b" ? "00" : "01"}` as Hex;
    const zeros: Hex = `0x${"00".repeat(64)}1b`;
    const tooLong: Hex = `${signed}00`;
    const cut = signed.slice(0, -2) as Hex;
    for (const bad of [mirrored, lowV, zeros, tooLong, cut, "0x" as Hex])
      await expect(protocol.recoverSigner(domain, "Ack", struct, bad)).rejects.toThrow(refusal("MALFORMED_SIGNATURE"));
  });
});

describe("heads", () => {
  it("are what abi.encode makes of them, and every field counts", () => {
    const arbitrary = fc.record({
      chainId: uint(256),
      registry: address,
      parentHead: bytes32.map(protocol.asHead),
      runId: bytes32.map(protocol.asRunId),
      sequence: uint(64),
      round: uint(64),
      paramsVersion: uint(32).map(Number),
      checkpointDigest: bytes32.map(protocol.asDigest),
      receiptsRoot: bytes32,
    });
    fc.assert(
      fc.property(arbitrary, (head) => {
        const encoded = AbiCoder.defaultAbiCoder().encode(
          ["bytes32", "uint256", "address", "bytes32", "bytes32", "uint64", "uint64", "uint32", "bytes32", "bytes32"],
          [protocol.HEAD_TYPEHASH, ...Object.values(head)],
        );
        const expected = keccak256(encoded);
        expect(protocol.headHash(head)).toBe(expected);
        expect(protocol.headHash({ ...head, round: (head.round + 1n) % 2n ** 64n })).not.toBe(expected);
        expect(protocol.headHash({ ...head, sequence: (head.sequence + 1n) % 2n ** 64n })).not.toBe(expected);
      }),
      { numRuns: 25 },
    );
  });

  it("draw every fragment about equally often", () => {
    const counts = [0, 0, 0, 0];
    const head = protocol.asHead(hash("4"));
    for (let index = 0; index < 400; index++) {
      const seed = seedOf(index, head);
      counts[protocol.drawnFragment(seed, 4)]! += 1;
    }
    for (const count of counts) expect(count).toBeGreaterThan(60);
  });

  it("lets a validator audit the gate of one head in so many, whatever fragment it draws", () => {
    const head = protocol.asHead(`0x${"33".repeat(32)}`);
    const [counts, fragments] = [[0, 0, 0, 0], 4];
    for (let index = 0; index < 1_600; index++) {
      const seed = seedOf(index, head);
      expect(protocol.drawsGateAudit(seed, fragments, 1)).toBe(true);
      if (protocol.drawsGateAudit(seed, fragments, 4)) counts[protocol.drawnFragment(seed, fragments)]! += 1;
    }
    for (const count of counts) expect(Math.abs(count - 100)).toBeLessThan(40);
  });

  it("orders who measures a head by head and set alone, each being first about equally often", () => {
    const set = ["1", "2", "3"].map((digit): Address => `0x${digit.repeat(40)}`);
    const firsts = new Map(set.map((validator) => [validator, 0]));
    for (let i = 0; i < 600; i++) {
      const head = protocol.asHead(`0x${i.toString(16).padStart(64, "0")}`);
      const order = protocol.measuringOrder(head, set);
      expect(order.toSorted()).toEqual(set);
      expect(protocol.measuringOrder(head, set.toReversed())).toEqual(order);
      firsts.set(order[0]!, (firsts.get(order[0]!) ?? 0) + 1);
    }
    for (const count of firsts.values()) expect(count).toBeGreaterThan(150);
  });
});

/** Whether a leaf lies under a root: OpenZeppelin's MerkleProof, by hand. */
const proves = (root: string, leaf: string, proof: readonly string[]): boolean =>
  proof.reduce((node, sibling) => keccak256(concat([node, sibling].sort())), leaf) === root;

describe("trees", () => {
  const modelId = protocol.asModelId(hash("7"));
  const leaves = fc.uniqueArray(fc.record({ account: address, amount: uint(128) }), {
    minLength: 1,
    maxLength: 20,
    selector: (leaf) => leaf.account,
  });

  it("of rewards prove each account's own amount and nothing else, in any order", () => {
    fc.assert(
      fc.property(leaves, (list) => {
        const tree = protocol.rewardTree({ modelId, index: 7 }, list);
        expect(protocol.rewardTree({ modelId, index: 7 }, list.toReversed()).root).toBe(tree.root);
        for (const { account, amount } of list) {
          const entry = tree.proofOf(getAddress(account) as Address)!;
          const leafOf = (of: bigint) =>
            keccak256(
              keccak256(
                AbiCoder.defaultAbiCoder().encode(
                  ["uint8", "bytes32", "uint64", "address", "uint256"],
                  [1, modelId, 7, account, of],
                ),
              ),
            );
          expect(entry.amount).toBe(amount);
          expect(proves(tree.root, leafOf(amount), entry.proof)).toBe(true);
          expect(proves(tree.root, leafOf(amount + 1n), entry.proof)).toBe(false);
        }
      }),
      { numRuns: 25 },
    );
  });

  it("of rewards refuse amounts that a word cannot hold", () => {
    const account: Address = `0x${"ab".repeat(20)}`;
    for (const amount of [-1n, 2n ** 256n])
      expect(() => protocol.rewardTree({ modelId, index: 7 }, [{ account, amount }])).toThrow(
        refusal("AMOUNT_TOO_LARGE"),
      );
  });

  it("of rewards refuse no account and one account twice", () => {
    expect(() => protocol.rewardTree({ modelId, index: 7 }, [])).toThrow(refusal("EMPTY_TREE"));
    const account: Address = `0x${"ab".repeat(20)}`;
    const twice = [
      { account, amount: 1n },
      { account: getAddress(account) as Address, amount: 2n },
    ];
    expect(() => protocol.rewardTree({ modelId, index: 7 }, twice)).toThrow(refusal("DUPLICATE_ACCOUNT"));
  });

  it("of receipts have root 0 without any", () => {
    expect(protocol.receiptsRoot([])).toBe(protocol.zeroHash);
  });

  it("of commitments need start and end", () => {
    const leaf = { j: 0, step: 0n, state: hash("1"), data: hash("2"), scalars: hash("3"), update: hash("4") };
    expect(() => protocol.commitmentRoot([])).toThrow(refusal("SHORT_COMMITMENT"));
    expect(() => protocol.commitmentRoot([leaf])).toThrow(refusal("SHORT_COMMITMENT"));
    const end = { ...leaf, j: 1 };
    expect(protocol.commitmentRoot([leaf, end])).not.toBe(
      protocol.commitmentRoot([leaf, { ...end, update: hash("5") }]),
    );
  });
});

describe("run parameters", () => {
  const fields = Object.fromEntries(
    protocol.runParameters.map(({ name, type }) => [
      name,
      type === "uint128" ? uint(128) : uint(Number(type.slice(4))).map(Number),
    ]),
  );
  const arbitrary = fc.record(fields) as unknown as fc.Arbitrary<protocol.RunParams>;

  it("encode as ethers encodes the struct and survive the wire", () => {
    const types = protocol.runParameters.map((component) => component.type);
    fc.assert(
      fc.property(arbitrary, (params) => {
        const values = protocol.runParameters.map(({ name }) => params[name]);
        expect(protocol.encodeRunParams(params)).toBe(
          AbiCoder.defaultAbiCoder().encode([`tuple(${types.join(",")})`], [values]),
        );
        const wire: unknown = JSON.parse(JSON.stringify(protocol.runParamsToWire(params)));
        expect(protocol.runParamsFromWire(protocol.parseDocument("params", protocol.RunParamsWire, wire))).toEqual(
          params,
        );
      }),
      { numRuns: 50 },
    );
  });

  it("ramp first: plain averaging over the ramp's steps, then the run's own", () => {
    const [any] = fc.sample(arbitrary, { numRuns: 1, seed: 3 });
    const params = {
      ...any!,
      innerSteps: 64,
      rampInnerSteps: 8,
      rampRounds: 2,
      outerLrPpm: 700_000,
      outerMomentumPpm: 900_000,
    };
    expect([0, 1, 2, 3].map((round) => protocol.innerStepsOf(params, round))).toEqual([8, 8, 64, 64]);
    expect(protocol.outerHyperparametersOf(params, 1)).toEqual({ lrPpm: 1_000_000, momentumPpm: 0 });
    expect(protocol.outerHyperparametersOf(params, 2)).toEqual({ lrPpm: 700_000, momentumPpm: 900_000 });
  });
});

describe("fragment tables", () => {
  const specs = fc
    .uniqueArray(
      fc.record({
        name: fc.string({ minLength: 1, maxLength: 12 }),
        shape: fc.array(fc.integer({ min: 1, max: 64 }), { maxLength: 3 }),
        layer: fc.option(fc.nat(11), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 40, selector: (spec) => spec.name },
    )
    .map((list) => list.map(({ layer, ...spec }) => (layer === undefined ? spec : { ...spec, layer })));

  it("place each tensor once, layers round robin, the rest largest first on the smallest", () => {
    fc.assert(
      fc.property(specs, fc.integer({ min: 1, max: 8 }), (list, fragments) => {
        const table = protocol.fragmentTable(list, fragments);
        expect(table.map(({ name, shape }) => ({ name, shape }))).toEqual(
          list.map(({ name, shape }) => ({ name, shape })),
        );
        const sizes = Array.from({ length: fragments }, () => 0);
        const placeOf = new Map(table.map((entry) => [entry.name, entry.fragment]));
        for (const spec of list.filter((each) => "layer" in each && each.layer !== undefined)) {
          expect(placeOf.get(spec.name)).toBe((spec as { layer: number }).layer % fragments);
          sizes[placeOf.get(spec.name)!]! += protocol.elementsOf(spec.shape);
        }
        const others = list
          .filter((each) => !("layer" in each))
          .toSorted(
            (a, b) => protocol.elementsOf(b.shape) - protocol.elementsOf(a.shape) || (a.name < b.name ? -1 : 1),
          );
        for (const spec of others) {
          const fragment = placeOf.get(spec.name)!;
          expect(
            sizes.every((size, index) => sizes[fragment]! < size || (sizes[fragment] === size && fragment <= index)),
          ).toBe(true);
          sizes[fragment]! += protocol.elementsOf(spec.shape);
        }
      }),
    );
  });

  it("refuse a number of fragments that is none, and a name twice", () => {
    for (const fragments of [0, -1, 1.5, Number.NaN])
      expect(() => protocol.fragmentTable([{ name: "a", shape: [1] }], fragments)).toThrow(
        refusal("INVALID_FRAGMENTS"),
      );
    const twice = [
      { name: "a", shape: [1] },
      { name: "a", shape: [2] },
    ];
    expect(() => protocol.fragmentTable(twice, 2)).toThrow(refusal("DUPLICATE_TENSOR"));
  });
});

describe("contributions", () => {
  const account = fc.constantFrom<Address>(`0x${"0a".repeat(20)}`, `0x${"0b".repeat(20)}`, `0x${"0c".repeat(20)}`);

  it("never pay more than the budget, and leave less than one wei per account over", () => {
    const contributions = fc.dictionary(
      fc.string({ minLength: 1, maxLength: 6 }),
      fc.bigInt({ min: 0n, max: 2n ** 80n }),
      { maxKeys: 12 },
    );
    fc.assert(
      fc.property(contributions, fc.bigInt({ min: 0n, max: 2n ** 100n }), (entries, budget) => {
        const list = new Map(Object.entries(entries) as [Address, bigint][]);
        const amounts = [...protocol.shareOut(list, budget).values()];
        const paid = amounts.reduce((sum, amount) => sum + amount, 0n);
        const total = [...list.values()].reduce((sum, value) => sum + value, 0n);
        expect(paid).toBeLessThanOrEqual(budget);
        expect(total === 0n ? amounts.length === 0 : budget - paid < BigInt(list.size)).toBe(true);
      }),
    );
  });

  it("do not depend on the order of heads, receipts and verdicts", () => {
    const receipt = fc.record({
      receiptHash: bytes32,
      worker: account,
      beneficiary: account,
      tokens: uint(40),
      outcome: fc.constantFrom(0, 0, 0, 1),
    });
    const heads = fc
      .tuple(fc.array(receipt, { maxLength: 6 }), fc.array(receipt, { maxLength: 6 }))
      .map(([first, second]) => [
        { head: hash("1"), paramsVersion: 1, receipts: first },
        { head: hash("2"), paramsVersion: 2, receipts: second },
      ]);
    const verdict = fc.record({
      head: fc.constantFrom(hash("1"), hash("2")),
      kind: fc.integer({ min: 1, max: 5 }),
      worker: account,
      validator: account,
      value: fc.constantFrom(0n, 2_500n, 10_000n),
    });
    fc.assert(
      fc.property(heads, fc.array(verdict, { maxLength: 12 }), (list, verdicts) => {
        const sums = protocol.contributionsOf(list, verdicts, 1);
        const mirrored = protocol.contributionsOf(
          list.toReversed().map((each) => ({ ...each, receipts: each.receipts.toReversed() })),
          verdicts.toReversed(),
          1,
        );
        expect(Object.fromEntries(mirrored)).toEqual(Object.fromEntries(sums));
        for (const sum of sums.values()) expect(sum).toBeGreaterThan(0n);
      }),
    );
  });
});

describe("session MACs", () => {
  const key = hash("6");
  const input = { method: "POST", path: "/v1/runs", body: protocol.asDigest(hash("8")), counter: 3 };

  it("verify for their own request alone", async () => {
    const mac = await protocol.sessionMac(key, input);
    expect(await protocol.verifySessionMac(key, input, mac)).toBe(true);
    expect(await protocol.verifySessionMac(key, { ...input, method: "post" }, mac)).toBe(true);
    expect(await protocol.verifySessionMac(hash("9"), input, mac)).toBe(false);
    for (const change of [
      { method: "PUT" },
      { path: "/v1/runs/" },
      { body: protocol.asDigest(hash("9")) },
      { counter: 4 },
    ])
      expect(await protocol.verifySessionMac(key, { ...input, ...change }, mac)).toBe(false);
    for (const bad of ["", "0x", mac.toUpperCase(), mac.slice(0, -2), `${mac}00`, `${mac}\n`])
      expect(await protocol.verifySessionMac(key, input, bad)).toBe(false);
  });
});

describe("codes", () => {
  it("have their names back", () => {
    expect(protocol.nameOfCode(protocol.codecCode, 1)).toBe("int8-b256");
    expect(protocol.nameOfCode(protocol.codecCode, 9)).toBeUndefined();
    for (const codes of [protocol.outcomeCode, protocol.verdictKind, protocol.rewardKind, protocol.runStatus])
      expect(new Set(Object.values(codes)).size).toBe(Object.keys(codes).length);
  });
});
