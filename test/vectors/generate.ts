/**
 * Writes protocol.json, the vectors that TypeScript (test/sdk) and Solidity (test/contracts) both compare with:
 *
 *     node --conditions=cotrain-source test/vectors/generate.ts
 *
 * Nothing here comes from the SDK: type strings are those of the protocol's page, hashes are ethers' and Node's, trees are
 * built by hand. Documents stand as they are; elsewhere all numbers are decimal strings, all bytes 0x-hex. `encoded` is
 * always abi.encode of the fields in their order, so that Solidity reads a case by one abi.decode.
 */
import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { concat, getCreate2Address, getCreateAddress, keccak256, TypedDataEncoder, Wallet } from "ethers";
import { address, cidOf, coder, type Field, hash, parseType, sha256, tree, zero32 } from "./basics.ts";
import { revenueVectors } from "./revenue.ts";
import { roundVectors } from "./round.ts";
import { headType, structs } from "./structs.ts";

export const vectorsPath = fileURLToPath(new URL("protocol.json", import.meta.url));

const runParamsType =
  "RunParams(uint32 innerSteps,uint32 rampInnerSteps,uint32 rampRounds,uint32 innerLrPpb,uint32 outerLrPpm,uint32 outerMomentumPpm,uint16 minWorkers,uint16 maxWorkers,uint32 roundDeadline,uint8 codec,uint8 downCodec,uint8 outerOptimizer,uint8 aggregator,uint16 aggregatorBps,uint16 delaySteps,uint16 mixingBps,uint8 weighting,uint8 innerState,uint8 admission,uint128 minStake,uint16 replayBps)";

const bitsOf = (type: string): bigint => BigInt(type.slice("uint".length));

/** Three values of a field: of ordinary size, zero, and the largest. */
function valuesOf(owner: string, { name, type }: Field, position: number): [string, string, string] {
  if (type === "bytes32") return [hash(`${owner}.${name}`), zero32, `0x${"ff".repeat(32)}`];
  if (type === "address") return [address(`${owner}.${name}`), `0x${"00".repeat(20)}`, `0x${"ff".repeat(20)}`];
  const bits = bitsOf(type);
  return [String(bits === 8n ? (position % 4) + 1 : position * 37 + 5), "0", String(2n ** bits - 1n)];
}

function messagesOf(owner: string, fields: readonly Field[]): Record<string, string>[] {
  return [0, 1, 2].map((which) =>
    Object.fromEntries(
      fields.map((field, position) => [field.name, valuesOf(owner, field, position)[which as 0 | 1 | 2]]),
    ),
  );
}

const encodeFields = (fields: readonly Field[], message: Readonly<Record<string, string>>): string =>
  coder.encode(
    fields.map((field) => field.type),
    fields.map((field) => message[field.name]),
  );

const domains = [
  { name: "Cotrain", version: "1", chainId: "31337", verifyingContract: address("a local verifying contract") },
  { name: "Cotrain", version: "1", chainId: "1", verifyingContract: address("a verifying contract") },
  { name: "Cotrain", version: "1", chainId: "9007199254740991", verifyingContract: address("another one") },
];

async function structVector(typeString: string) {
  const { name, fields } = parseType(typeString);
  const types = { [name]: fields };
  const signer = new Wallet(hash(`key of ${name}`));
  const cases = await Promise.all(
    messagesOf(name, fields).map(async (message, index) => {
      const domain = domains[index % domains.length]!;
      return {
        message,
        encoded: encodeFields(fields, message),
        structHash: TypedDataEncoder.hashStruct(name, types, message),
        chainId: domain.chainId,
        verifyingContract: domain.verifyingContract,
        domainSeparator: TypedDataEncoder.hashDomain(domain),
        digest: TypedDataEncoder.hash(domain, types, message),
        signer: signer.address.toLowerCase(),
        signature: await signer.signTypedData(domain, types, message),
      };
    }),
  );
  return { type: typeString, typeHash: hash(typeString), cases };
}

function headVector() {
  const { fields } = parseType(headType);
  const typeHash = hash(headType);
  const checkpoint0 = {
    chainId: "31337",
    registry: address("a checkpoint registry"),
    parentHead: zero32,
    runId: hash("a run"),
    sequence: "0",
    round: "0",
    paramsVersion: "1",
    checkpointDigest: sha256("checkpoint 0"),
    receiptsRoot: zero32,
  };
  const headOf = (message: Readonly<Record<string, string>>): string =>
    keccak256(concat([typeHash, encodeFields(fields, message)]));
  const next = {
    ...checkpoint0,
    parentHead: headOf(checkpoint0),
    sequence: "1",
    round: "1",
    checkpointDigest: sha256("checkpoint 1"),
    receiptsRoot: hash("receipts of round 0"),
  };
  const cases = [checkpoint0, next, ...messagesOf("Head", fields)].map((message) => ({
    message,
    encoded: encodeFields(fields, message),
    head: headOf(message),
  }));
  return { type: headType, typeHash, cases };
}

/** ERC-1167: code that leaves a contract which passes every call on. */
const cloneOf = (implementation: string): string =>
  `0x3d602d80600a3d3981f3363d3d373d3d3d363d73${implementation.slice(2)}5af43d82803e903d91602b57fd5bf3`;

const idTypes = ["uint256", "address", "bytes32", "bytes32"];

function idVectors() {
  return [
    { chainId: "31337", salt: zero32 },
    { chainId: "1", salt: hash("a salt") },
    { chainId: String(2n ** 256n - 1n), salt: `0x${"ff".repeat(32)}` },
  ].map(({ chainId, salt }) => {
    const modelRegistry = address("a model registry");
    const runRegistry = address("a run registry");
    const sender = address("a sender");
    const terms = hash("all that a model is created from");
    const modelId = keccak256(
      coder.encode(
        ["uint256", "address", "address", "bytes32", "bytes32"],
        [chainId, modelRegistry, sender, salt, terms],
      ),
    );
    const runId = keccak256(coder.encode(idTypes, [chainId, runRegistry, modelId, salt]));
    const implementations = [address("shares"), address("a governor"), address("a timelock")];
    const [shares, governor, timelock] = implementations.map((implementation) =>
      getCreate2Address(modelRegistry, modelId, keccak256(cloneOf(implementation))).toLowerCase(),
    );
    const clones = { shares, governor, timelock };
    return { chainId, modelRegistry, runRegistry, sender, salt, terms, modelId, runId, implementations, clones };
  });
}

/** Terms of ordinary size, the least and the largest: what they make, and where its tokens lie. */
function leaseVectors() {
  const { fields } = parseType(
    "LeaseTerms(address renter,address provider,address machine,address signer,address token,uint32 notice,bytes32 salt)",
  );
  const escrow = address("an escrow");
  const vault = cloneOf(getCreateAddress({ from: escrow, nonce: 1 }));
  return messagesOf("LeaseTerms", fields).map((terms, index) => {
    const chainId = ["31337", "1", String(2n ** 53n - 1n)][index]!;
    const encoded = encodeFields(fields, terms);
    const leaseId = keccak256(
      concat([coder.encode(["uint256", "address"], [chainId, escrow]), encoded]),
    );
    const lies = getCreate2Address(escrow, leaseId, keccak256(vault)).toLowerCase();
    return { chainId, escrow, terms, encoded, leaseId, vault: lies };
  });
}

/** Epochs walked one by one, without the formula: the second before the first, then first and last second of some. */
function epochVectors() {
  return [
    { start: 1_800_000_000, epochLength: 16 },
    { start: 1, epochLength: 1 },
    { start: 1_764_201_600, epochLength: 86_400 },
  ].map(({ start, epochLength }) => {
    const cases = [{ time: String(start - 1), epoch: "0", end: String(start) }];
    for (let epoch = 1, begin = start; epoch <= 400; epoch++, begin += epochLength) {
      const end = begin + epochLength;
      for (const time of [1, 2, 3, 400].includes(epoch) ? [begin, end - 1] : [])
        cases.push({ time: String(time), epoch: String(epoch), end: String(end) });
    }
    return { start: String(start), epochLength: String(epochLength), cases };
  });
}

const treeSizes = [1, 2, 3, 4, 7, 33];
const numbers = (size: number): number[] => Array.from({ length: size }, (_, index) => index);

function leafVectors() {
  const receipt = ["bytes32", "address", "address", "uint64", "uint16"];
  const reward = ["uint8", "bytes32", "uint64", "address", "uint256"];
  const index = 2n ** 40n + 3n;
  const commitment = ["uint32", "uint64", "bytes32", "bytes32", "bytes32", "bytes32"];
  const modelId = hash("a model");
  return {
    receipt: {
      types: receipt,
      trees: treeSizes.map((size) =>
        tree(
          receipt,
          numbers(size).map((index) => [
            hash(`receipt ${index}`),
            address(`worker ${index}`),
            address(`beneficiary ${index % 3}`),
            String(index === 2 ? 2n ** 64n - 1n : BigInt(index) * 65_536n),
            String(index === 6 ? 65_535 : index % 5),
          ]),
        ),
      ),
    },
    reward: {
      types: reward,
      modelId,
      index: String(index),
      trees: treeSizes.map((size) =>
        tree(
          reward,
          numbers(size).map((leaf) => [
            "1",
            modelId,
            String(index),
            address(`account ${leaf}`),
            String(leaf === 2 ? 2n ** 256n - 1n : BigInt(leaf) * 10n ** 18n + 7n),
          ]),
        ),
      ),
    },
    commitment: {
      types: commitment,
      trees: treeSizes
        .filter((size) => size >= 2)
        .map((size) =>
          tree(
            commitment,
            numbers(size).map((index) => [
              String(index),
              String(index * 16),
              hash(`state ${index}`),
              hash(`data ${index}`),
              hash(`scalars ${index}`),
              index === size - 1 ? sha256("payload") : zero32,
            ]),
          ),
        ),
    },
  };
}

function sortitionVectors() {
  return [1, 4, 7, 256].map((fragments) => {
    const blockHash = hash(`block ${fragments}`);
    const head = hash(`head ${fragments}`);
    const validator = address(`validator ${fragments}`);
    const seed = BigInt(keccak256(coder.encode(["bytes32", "bytes32", "address"], [blockHash, head, validator])));
    return {
      blockHash,
      head,
      validator,
      seed: String(seed),
      fragments: String(fragments),
      fragment: String(seed % BigInt(fragments)),
    };
  });
}

/** A field that is not named is 0. */
const goodParams: Readonly<Record<string, string>> = {
  innerSteps: "64",
  rampInnerSteps: "8",
  rampRounds: "6",
  innerLrPpb: "2000000",
  outerLrPpm: "700000",
  outerMomentumPpm: "700000",
  minWorkers: "1",
  maxWorkers: "64",
  roundDeadline: "60",
  codec: "1",
  mixingBps: "10000",
};

function runParamsVector() {
  const { fields } = parseType(runParamsType);
  const encoded = (message: Readonly<Record<string, string>>) => ({ message, encoded: encodeFields(fields, message) });
  const good = Object.fromEntries(fields.map(({ name }) => [name, goodParams[name] ?? "0"]));
  const rule = (fragments: number, valid: boolean, change: Readonly<Record<string, string>>) =>
    Object.assign(encoded({ ...good, ...change }), { fragments: String(fragments), valid });
  return {
    type: runParamsType,
    cases: [encoded(good), ...messagesOf("RunParams", fields).map(encoded)],
    /** What the registry takes and refuses beyond the bounds. */
    rules: [
      rule(4, true, {}),
      rule(1, true, { innerSteps: "1", rampInnerSteps: "1" }),
      rule(4, true, { innerSteps: "4", rampInnerSteps: "4" }),
      rule(4, true, { delaySteps: "15" }),
      rule(4, true, { minWorkers: "64" }),
      rule(4, false, { innerSteps: "0" }),
      rule(4, false, { innerSteps: "63" }),
      rule(3, false, { rampInnerSteps: "9" }),
      rule(4, false, { rampInnerSteps: "6" }),
      rule(4, false, { rampInnerSteps: "0" }),
      rule(4, false, { delaySteps: "16" }),
      rule(1, false, { delaySteps: "64" }),
      rule(4, false, { minWorkers: "0" }),
      rule(4, false, { minWorkers: "65" }),
      rule(4, true, { rampInnerSteps: "0", rampRounds: "0" }),
      rule(4, false, { rampInnerSteps: "6", rampRounds: "0" }),
      rule(4, true, { outerMomentumPpm: "999999" }),
      rule(4, false, { outerMomentumPpm: "1000000" }),
      rule(4, true, { aggregatorBps: "10000", mixingBps: "10000", replayBps: "10000" }),
      rule(4, false, { aggregatorBps: "10001" }),
      rule(4, false, { mixingBps: "10001" }),
      rule(4, false, { replayBps: "10001" }),
    ],
  };
}

function blobVectors() {
  return ["", "a", "cotrain", "checkpoint 0", "\u{1f600} é"].map((text) => {
    const digest = sha256(text);
    return { bytes: `0x${Buffer.from(text).toString("hex")}`, digest, cid: cidOf(digest) };
  });
}

/** `json` is any JSON text of the value, `canonical` its only canonical form (RFC 8785). */
function canonicalVectors() {
  const pairs: [string, string][] = [
    ["null", "null"],
    [" [ ] ", "[]"],
    ["{ }", "{}"],
    [
      '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    ],
    [
      '{"\\u20ac":"Euro Sign","\\r":"Carriage Return","\\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\\ud83d\\ude00":"Emoji: Grinning Face","\\u0080":"Control","\\u00f6":"Latin Small Letter O With Diaeresis"}',
      '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    ],
    ["[-0, 0.0, -0.0e5]", "[0,0,0]"],
    [
      "[9007199254740991,-9007199254740991,1e21,1e20,123456789012345680000,5e-324,1.7976931348623157e308,1e-6,1e-7]",
      "[9007199254740991,-9007199254740991,1e+21,100000000000000000000,123456789012345680000,5e-324,1.7976931348623157e+308,0.000001,1e-7]",
    ],
    ['{"b":{"z":1,"a":[{"y":2,"x":1}]},"a":""}', '{"a":"","b":{"a":[{"x":1,"y":2}],"z":1}}'],
    ['{"10":1,"9":2,"1":3,"":4}', '{"":4,"1":3,"10":1,"9":2}'],
    ['"\\u0000\\u001f\\b\\t\\n\\f\\r\\u007f\\u2028"', '"\\u0000\\u001f\\b\\t\\n\\f\\r\u007f\u2028"'],
    ['{"__proto__":1,"constructor":2}', '{"__proto__":1,"constructor":2}'],
  ];
  return pairs.map(([json, canonical]) => ({ json, canonical, digest: sha256(canonical) }));
}

function sessionVectors() {
  const key = hash("a session key");
  return [
    { method: "POST", path: "/v1/runs/0xab/heartbeat", body: '{"step":1}', counter: 1 },
    { method: "put", path: "/v1/runs/0xab/assignments/3/attempts/0/fragments/2", body: "\u0001\u0002", counter: 2 },
    { method: "GET", path: "/v1/runs?x=1", body: "", counter: 9_007_199_254_740_991 },
  ].map(({ method, path, body, counter }) => {
    const digest = sha256(body);
    const text = [method.toUpperCase(), path, digest, String(counter)].join("\n");
    const mac = createHmac("sha256", Buffer.from(key.slice(2), "hex")).update(text).digest("hex");
    return { key, method, path, body: digest, counter: String(counter), mac: `0x${mac}` };
  });
}

interface TableSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly layer?: number;
}

/** Fragments written down by hand from the rule: layer l → l mod F, the others, largest first, to the smallest. */
function tableVectors() {
  const specs: TableSpec[] = [
    { name: "embedding", shape: [1024, 8] }, // 8192
    { name: "layer.0.attention", shape: [8, 8], layer: 0 }, // 64
    { name: "layer.0.mlp", shape: [16, 8], layer: 0 }, // 128
    { name: "layer.1.attention", shape: [8, 8], layer: 1 },
    { name: "layer.1.mlp", shape: [16, 8], layer: 1 },
    { name: "layer.2.attention", shape: [8, 8], layer: 2 },
    { name: "norm", shape: [8] }, // 8
    { name: "head", shape: [1024, 8] }, // 8192, ties with embedding: by name
    { name: "bias", shape: [8] }, // ties with norm: by name
  ];
  const byFragments: [number, number[]][] = [
    [1, [0, 0, 0, 0, 0, 0, 0, 0, 0]],
    // Layers give 0: 256, 1: 192. embedding → 1 (8384), head → 0 (8448), bias → 1 (8392), norm → 1.
    [2, [1, 0, 0, 1, 1, 0, 1, 0, 1]],
    // Layers give 192, 192, 64, 0. embedding → 3, head → 2, bias → 0 (200), norm → 1.
    [4, [3, 0, 0, 1, 1, 2, 1, 2, 0]],
  ];
  return byFragments.map(([fragments, places]) => {
    const table = specs.map(({ name, shape }, index) => ({ name, shape, fragment: places[index]! }));
    const canonical = `[${table
      .map(({ name, shape, fragment }) => `{"fragment":${fragment},"name":"${name}","shape":[${shape.join(",")}]}`)
      .join(",")}]`;
    return { fragments, specs, table, digest: sha256(canonical) };
  });
}

/** One of each validator, from the first on. */
const verdicts = (id: string, kind: number, worker: string, ...values: number[]) =>
  values.map((value, i) => ({ head: id, kind, worker, validator: address(`validator ${i}`), value: String(value) }));
const amounts = (...pairs: [string, number, number][]) =>
  pairs.map(([account, contribution, amount]) => ({
    account,
    contribution: String(contribution),
    amount: String(amount),
  }));

const receipt = (worker: string, beneficiary: string, tokens: number, outcome = 0) => ({
  receiptHash: hash(`${worker} ${tokens}`),
  worker,
  beneficiary,
  tokens: String(tokens),
  outcome,
});

/** Each number worked out by hand beside the case. */
function contributionVectors() {
  const h1 = hash("head 1");
  const h2 = hash("head 2");
  const w1 = address("worker 1");
  const w2 = address("worker 2");
  const w3 = address("worker 3");
  const nobody = `0x${"00".repeat(20)}`;
  const a = address("account a");
  const b = address("account b");
  const head = (id: string, paramsVersion: number, receipts: ReturnType<typeof receipt>[]) => ({
    head: id,
    paramsVersion,
    receipts,
  });
  const one = head(h1, 1, [receipt(w1, a, 100), receipt(w2, b, 200)]);
  const base = { heads: [one], verdicts: [] as ReturnType<typeof verdicts>, minParamsVersion: 1, budget: "1000" };
  return [
    { name: "no verdict: full quality; 1000 · 1/3 and 2/3 rounded down", ...base, result: amounts([a, 1_000_000, 333], [b, 2_000_000, 666]) },
    { name: "an epoch without heads adds nothing", ...base, heads: [], result: [] },
    { name: "all outcomes refused: nothing", ...base, heads: [head(h1, 1, [receipt(w1, a, 100, 1), receipt(w2, b, 200, 4)])], result: [] },
    { name: "one refused outcome: the other gets all", ...base, heads: [head(h1, 1, [receipt(w1, a, 100, 2), receipt(w2, b, 200)])], result: amounts([b, 2_000_000, 1000]) },
    {
      name: "of a worker's use and replay nobody can judge yet: such verdicts count for nothing",
      ...base,
      verdicts: [...verdicts(h1, 1, w1, 0, 0, 0), ...verdicts(h1, 2, w2, 0, 0, 0)],
      result: amounts([a, 1_000_000, 333], [b, 2_000_000, 666]),
    },
    { name: "half of the aggregates failed: still paid", ...base, verdicts: verdicts(h1, 3, nobody, 10000, 0), result: amounts([a, 1_000_000, 333], [b, 2_000_000, 666]) },
    {
      name: "one of three found the aggregate wrong, another confirms it: nothing for the head",
      ...base,
      verdicts: [...verdicts(h1, 3, nobody, 0, 10000, 10000), ...verdicts(h1, 5, w3, 0, 0)],
      result: [],
    },
    {
      name: "a validator is one voice, however much it confirms: still paid",
      ...base,
      verdicts: [...verdicts(h1, 3, nobody, 0, 10000), ...verdicts(h1, 5, w2, 0), ...verdicts(h1, 5, w3, 0)],
      result: amounts([a, 1_000_000, 333], [b, 2_000_000, 666]),
    },
    { name: "more than half of the aggregates failed: nothing for the head", ...base, verdicts: verdicts(h1, 3, nobody, 0), result: [] },
    {
      name: "verdicts count for their own head only; loss counts for nothing",
      ...base,
      heads: [head(h1, 1, [receipt(w1, a, 100)]), head(h2, 1, [receipt(w1, a, 100), receipt(w3, b, 100)])],
      verdicts: [...verdicts(h2, 3, nobody, 0), ...verdicts(h1, 4, nobody, 0)],
      result: amounts([a, 1_000_000, 1000]),
    },
    {
      name: "an old version of the parameters counts 0, an equal or newer one counts",
      ...base,
      minParamsVersion: 2,
      heads: [head(h1, 1, [receipt(w1, a, 100)]), head(h2, 2, [receipt(w2, b, 100), receipt(w3, a, 300)])],
      result: amounts([a, 3_000_000, 750], [b, 1_000_000, 250]),
    },
    {
      name: "addresses compare without case",
      ...base,
      heads: [head(h1, 1, [receipt(w1.toUpperCase().replace("0X", "0x"), a.toUpperCase().replace("0X", "0x"), 100), receipt(w2, a, 100)])],
      result: amounts([a, 2_000_000, 1000]),
    },
    {
      name: "the remainder is never minted: 10 among three equals",
      ...base,
      budget: "10",
      heads: [head(h1, 1, [receipt(w1, a, 1), receipt(w2, b, 1), receipt(w3, w3, 1)])],
      result: amounts([a, 10_000, 3], [b, 10_000, 3], [w3, 10_000, 3]),
    },
    { name: "a budget of 0 gives everyone 0", ...base, budget: "0", result: amounts([a, 1_000_000, 0], [b, 2_000_000, 0]) },
  ];
}

/** Of a run's first steps, of where a shape begins and ends to fall, of its last steps and beyond, with optimizers of any age. */
const clocks: readonly (readonly [globalStep: number, optimizerStep: number])[] = [
  ...[0, 1, 50, 99, 100, 101, 357, 550, 799, 800, 801, 950, 1099, 1100, 1101, 4_294_967_296].map((step) => [step, step] as const),
  ...[0, 3, 9, 10].map((optimizerStep) => [900, optimizerStep] as const),
];

/** Half a cosine down to a tenth, from step 100 to 1100. */
const half = (g: number): number =>
  0.1 + 0.9 * 0.5 * (1 + Math.cos((Math.PI * (Math.min(Math.max(g, 100), 1100) - 100)) / 1000));
/** A line down to nothing, from step 800 to 1100. */
const line = (g: number): number => Math.min(1, Math.max(0, (1100 - g) / 300));

/** The rate that is fed, fp32 as the shortest decimal of that double. */
function scheduleVectors() {
  const warmup = { warmupSteps: 100, freshWarmupSteps: 10 };
  const shapes = [
    { schedule: { kind: "warmup-constant", ...warmup } as const, factor: () => 1 },
    { schedule: { kind: "cosine", ...warmup, steps: 1100, floor: 0.1 } as const, factor: half },
    { schedule: { kind: "warmup-stable-decay", ...warmup, steps: 1100, floor: 0, decaySteps: 300 } as const, factor: line },
  ];
  return shapes.map(({ schedule, factor }) => ({
    schedule,
    innerLrPpb: "2000000",
    cases: clocks.map(([g, o]) => {
      const rise = Math.min(1, (g + 1) / 100, (o + 1) / 10);
      return { globalStep: String(g), optimizerStep: String(o), learningRate: String(Math.fround(0.002 * rise * factor(g))) };
    }),
  }));
}

export async function buildVectors() {
  const entries = await Promise.all(
    Object.entries(structs).map(async ([name, typeString]) => [name, await structVector(typeString)] as const),
  );
  return {
    structs: Object.fromEntries(entries),
    head: headVector(),
    ids: idVectors(),
    leases: leaseVectors(),
    epochs: epochVectors(),
    leaves: leafVectors(),
    sortitions: sortitionVectors(),
    runParams: runParamsVector(),
    blobs: blobVectors(),
    canonicalJson: canonicalVectors(),
    sessions: sessionVectors(),
    tables: tableVectors(),
    contributions: contributionVectors(),
    schedules: scheduleVectors(),
    revenue: revenueVectors(),
    round: await roundVectors(),
  };
}

export type ProtocolVectors = Awaited<ReturnType<typeof buildVectors>>;

if (import.meta.main) writeFileSync(vectorsPath, `${JSON.stringify(await buildVectors(), null, 1)}\n`);
