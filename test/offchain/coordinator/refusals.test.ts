/** Whatever a worker gets wrong, it gets a typed error and changes nothing. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";

import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Assignment,
  contentDigestHeader,
  type Digest,
  digestOfJson,
  type Hex,
  measuringOrder,
  type PayloadHeader,
  type Receipt,
  routes,
  sessionHeaders,
  sessionMac,
  toWire,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { sha256Bytes } from "../../../offchain/src/base/index.ts";
import {
  type Harness,
  lower,
  openHarness,
  OPERATOR,
  params,
  type Prepared,
  requestOf,
  runId,
  sign,
  type TestWorker,
  validators,
  verdictOf,
} from "./harness.ts";

let harness: Harness;
let worker: TestWorker;
let other: TestWorker;
let assignment: Assignment;
let prepared: Prepared;

beforeAll(async () => {
  harness = await openHarness({ forgiven: 1_000 });
  worker = harness.worker("31");
  other = harness.worker("32");
  await worker.join();
  await other.join();
  assignment = await worker.assigned();
  prepared = worker.prepare(assignment);
  await worker.upload(prepared);
});
afterAll(() => harness.close());

/** The code that a call is refused with; the state must not notice. */
async function refusal(call: () => Promise<unknown>): Promise<string> {
  const before = harness.digest();
  const seq = harness.run.driver.seq;
  let code = "accepted";
  try {
    await call();
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    // One sentence for the user.
    code = error.message.endsWith(".") ? error.code : error.message;
  }
  expect(harness.digest()).toBe(before);
  expect(harness.run.driver.seq).toBe(seq);
  return code;
}

/** Submits the honest receipt with something changed in it, signed as changed. */
function receiptWith(change: Partial<Receipt>): Promise<string> {
  return refusal(() => worker.submit({ ...prepared, receipt: { ...prepared.receipt, ...change } }));
}

/** The same with another header, whose digest the receipt names. */
function headerWith(change: Partial<PayloadHeader>): Promise<string> {
  const header = { ...prepared.header, ...change };
  const receipt = { ...prepared.receipt, payloadDigest: digestOfJson(header) };
  return refusal(() => worker.submit({ ...prepared, receipt, header }));
}

const fragmentWith = (index: number, change: Partial<PayloadHeader["fragments"][number]>) =>
  prepared.header.fragments.map((fragment) => (fragment.index === index ? { ...fragment, ...change } : fragment));

const uploading = (
  bytes: Uint8Array<ArrayBuffer>,
  digest: Digest,
  place: Partial<Assignment> & { index?: number } = {},
) => {
  const { assignmentId, attempt, index } = { ...assignment, index: 0, ...place };
  return refusal(() => worker.session.uploadFragment(assignmentId, attempt, index, bytes, digest));
};

const countBlobs = async (): Promise<number> => {
  let blobs = 0;
  for await (const digest of harness.blobs.list()) blobs += digest.length > 0 ? 1 : 0;
  return blobs;
};

const joined = (change: Parameters<TestWorker["join"]>[0], by = harness.worker("34").account) =>
  refusal(() => harness.worker("34").join(change, by));

const judged = async (change: Parameters<typeof verdictOf>[2], validator = validators[0]!) => {
  const signed = await verdictOf(harness, validator, change);
  return refusal(() => harness.client.submitVerdict(runId, signed));
};

const hash = (byte: string): Hex => `0x${byte.repeat(32)}`;

describe("a receipt is refused", () => {
  it("under another payload digest than its header has", async () => {
    expect(await receiptWith({ payloadDigest: hash("99") })).toBe("WRONG_DIGEST");
  });
  it("for another assignment than was given", async () => {
    expect(await receiptWith({ assignment: hash("99") })).toBe("WRONG_DIGEST");
  });
  it("of a round that is not open", async () => {
    expect(await receiptWith({ round: 7n })).toBe("STALE_ROUND");
  });
  it("of an attempt that is not the current one", async () => {
    expect(await receiptWith({ attempt: 9 })).toBe("STALE_ATTEMPT");
    expect(await receiptWith({ assignmentId: 77n })).toBe("STALE_ATTEMPT");
  });
  it("with a signature by another key, or none at all", async () => {
    expect(await refusal(() => worker.submit(prepared, other.account))).toBe("BAD_SIGNATURE");
    const request = await requestOf(prepared.receipt, prepared.header, worker.account);
    const garbled: Hex = `0x${"00".repeat(65)}`;
    expect(await refusal(() => worker.session.submitReceipt({ ...request, signature: garbled }))).toBe("BAD_SIGNATURE");
  });
  it("sent under another worker's session", async () => {
    const request = await requestOf(prepared.receipt, prepared.header, worker.account);
    expect(await refusal(() => other.session.submitReceipt(request))).toBe("FOREIGN_WALLET");
  });
  it("that pays another wallet than the one that joined", async () => {
    expect(await receiptWith({ beneficiary: other.beneficiary })).toBe("FOREIGN_WALLET");
  });
  it("of another run", async () => {
    expect(await receiptWith({ runId: hash("99") })).toBe("WRONG_RUN");
  });
  it("from another base, under other parameters, of another build", async () => {
    expect(await receiptWith({ baseDigest: hash("99") })).toBe("WRONG_BASE");
    expect(await receiptWith({ paramsVersion: 9 })).toBe("WRONG_PARAMS");
    expect(await receiptWith({ build: hash("99") })).toBe("BUILD_UNKNOWN");
  });
  it("for other steps than assigned", async () => {
    expect(await receiptWith({ steps: 9 })).toBe("WRONG_SHAPE");
    expect(await receiptWith({ steps: 3 })).toBe("WORK_UNDONE");
  });
  it("without a commitment", async () => {
    expect(await receiptWith({ commitment: zeroHash })).toBe("WRONG_COMMITMENT");
  });
  // foundation 8
  it("whose commitment has other leaves than its steps make", async () => {
    for (const leaves of [0, 1, 3, 0xffff_ffff]) expect(await receiptWith({ leaves })).toBe("WRONG_COMMITMENT");
  });
  it("with a header of another shape", async () => {
    expect(await headerWith({ fragments: prepared.header.fragments.slice(0, 3) })).toBe("WRONG_SHAPE");
    expect(await headerWith({ fragments: fragmentWith(1, { elements: 255 }) })).toBe("WRONG_SHAPE");
    expect(await headerWith({ fragments: fragmentWith(1, { bytes: 10 }) })).toBe("WRONG_SHAPE");
    expect(await headerWith({ fragments: fragmentWith(1, { index: 2 }) })).toBe("WRONG_SHAPE");
    expect(await headerWith({ table: hash("99") })).toBe("WRONG_SHAPE");
    expect(await headerWith({ codec: 0 })).toBe("WRONG_SHAPE");
    expect(await headerWith({ round: 3 })).toBe("STALE_ROUND");
    expect(await headerWith({ fragments: fragmentWith(2, { base: hash("99") }) })).toBe("WRONG_BASE");
  });
  it("whose payload was not uploaded", async () => {
    expect(await headerWith({ fragments: fragmentWith(0, { digest: hash("99") }) })).toBe("FRAGMENT_MISSING");
    // A blob that lies here, but not as this assignment's payload.
    const digest = harness.run.definitionDigest;
    expect(await headerWith({ fragments: fragmentWith(0, { digest }) })).toBe("FRAGMENT_MISSING");
  });
  it("whose payload is not finite", async () => {
    // A scale of NaN, of infinity, a negative one, and a value of −128.
    const spoilt: [number, number[]][] = [
      [2, [0xc0, 0x7f]],
      [2, [0x80, 0x7f]],
      [3, [0xbf]],
      [8, [0x80]],
    ];
    for (const [at, bytes] of spoilt) {
      const payload = new Uint8Array(prepared.payloads[0]!);
      payload.set(bytes, at);
      const digest = sha256Bytes(payload);
      await worker.session.uploadFragment(assignment.assignmentId, assignment.attempt, 0, payload, digest);
      expect(await headerWith({ fragments: fragmentWith(0, { digest }) })).toBe("NON_FINITE");
    }
    await worker.session.uploadFragment(
      assignment.assignmentId,
      assignment.attempt,
      0,
      prepared.payloads[0]!,
      sha256Bytes(prepared.payloads[0]!),
    );
  });
  it("that is larger than allowed", async () => {
    const fragments = Array.from({ length: 256 }, (_, index) => ({ ...prepared.header.fragments[0]!, index }));
    expect(await headerWith({ fragments })).toBe("WRONG_SHAPE");
    const body = {
      ...(await requestOf(prepared.receipt, prepared.header, worker.account)),
      filler: "x".repeat(100_000),
    };
    expect(await refusal(() => worker.session.submitReceipt(body))).toBe("BODY_TOO_LARGE");
  });
  it("that has more in it than the protocol says", async () => {
    const body = { ...(await requestOf(prepared.receipt, prepared.header, worker.account)), filler: "x" };
    expect(await refusal(() => worker.session.submitReceipt(body))).toBe("REQUEST_INVALID");
  });
});

describe("a fragment is refused", () => {
  it("when its bytes do not have the digest announced", async () => {
    const before = await countBlobs();
    expect(await uploading(prepared.payloads[0]!, hash("99") as Digest)).toBe("WRONG_DIGEST");
    expect(await countBlobs()).toBe(before);
  });
  it("when it is longer or shorter than the codec makes it", async () => {
    const before = await countBlobs();
    const long = new Uint8Array(prepared.payloads[0]!.length + 1);
    const short = new Uint8Array(prepared.payloads[0]!.length - 1);
    expect(await uploading(long, sha256Bytes(long))).toBe("BODY_TOO_LARGE");
    expect(await uploading(short, sha256Bytes(short))).toBe("WRONG_SHAPE");
    expect(await countBlobs()).toBe(before);
  });
  it("for an assignment, an attempt or a fragment that is not expected", async () => {
    const [bytes, digest] = [prepared.payloads[0]!, sha256Bytes(prepared.payloads[0]!)];
    expect(await uploading(bytes, digest, { assignmentId: 99 })).toBe("STALE_ATTEMPT");
    expect(await uploading(bytes, digest, { attempt: 2 })).toBe("STALE_ATTEMPT");
    expect(await uploading(bytes, digest, { index: 4 })).toBe("WRONG_SHAPE");
  });
  it("when it was sent too often", async () => {
    const [bytes, digest] = [prepared.payloads[1]!, sha256Bytes(prepared.payloads[1]!)];
    const { assignmentId, attempt } = await other.assigned();
    for (let i = 0; i < 16; i++) await other.session.uploadFragment(assignmentId, attempt, 1, bytes, digest);
    expect(await refusal(() => other.session.uploadFragment(assignmentId, attempt, 1, bytes, digest))).toBe(
      "TOO_MANY_UPLOADS",
    );
    // Whoever restarts is given the work again, and no more uploads.
    await other.join();
    const again = await other.assigned();
    expect(again.attempt).toBeGreaterThan(attempt);
    expect(await refusal(() => other.session.uploadFragment(again.assignmentId, again.attempt, 1, bytes, digest))).toBe(
      "TOO_MANY_UPLOADS",
    );
  });
});

describe("a request of a member is refused", () => {
  const beat = { round: 0, step: 1, loss: 2, tokensPerSecond: 10, uploading: false };
  const raw = async (
    worker: string,
    key: Hex,
    counter: number,
    body: unknown = beat,
    announced: unknown = body,
  ): Promise<{ status: number; code: string }> => {
    const text = JSON.stringify(body);
    const path = routes.heartbeat(runId);
    const digest = sha256Bytes(Buffer.from(JSON.stringify(announced)));
    const reply = await harness.app.inject({
      method: "POST",
      url: path,
      payload: text,
      headers: {
        "content-type": "application/json",
        [sessionHeaders.worker]: worker,
        [sessionHeaders.counter]: String(counter),
        [sessionHeaders.mac]: await sessionMac(key, { method: "POST", path, body: digest, counter }),
        [contentDigestHeader]: digest,
      },
    });
    const parsed: unknown = reply.json();
    const error =
      typeof parsed === "object" && parsed !== null && "error" in parsed
        ? (parsed.error as { code: string })
        : undefined;
    return { status: reply.statusCode, code: error?.code ?? "accepted" };
  };

  it("without a session, with a wrong MAC, with a counter that was used", async () => {
    const stranger = harness.worker("39");
    expect(await raw(stranger.address, hash("00"), 1)).toEqual({ status: 401, code: "SESSION_UNKNOWN" });
    expect(await raw(worker.address, hash("00"), 1_000)).toEqual({ status: 401, code: "BAD_MAC" });
    const third = harness.worker("33");
    const join = {
      runId,
      worker: third.address,
      beneficiary: third.beneficiary,
      lease: zeroHash,
      build: harness.build,
      conformance: zeroHash,
      protocolMin: 1,
      protocolMax: 3,
      issuedAt: BigInt(harness.clock.now()),
    } as const;
    const { sessionKey, protocol } = await harness.client.join(runId, {
      join: toWire("Join", join),
      signature: await sign(third.account, "Join", join),
    });
    expect(protocol).toBe(1);
    expect(await raw(third.address, sessionKey, 5)).toEqual({ status: 200, code: "accepted" });
    expect(await raw(third.address, sessionKey, 5)).toEqual({ status: 409, code: "STALE_COUNTER" });
    expect(await raw(third.address, sessionKey, 3)).toEqual({ status: 200, code: "accepted" });
    expect(await raw(third.address, sessionKey, 3)).toEqual({ status: 409, code: "STALE_COUNTER" });
    expect(await raw(third.address, sessionKey, 4, { ...beat, step: 2 }, beat)).toMatchObject({ code: "WRONG_DIGEST" });
    expect(await raw(third.address, sessionKey, 200)).toEqual({ status: 200, code: "accepted" });
    expect(await raw(third.address, sessionKey, 130)).toEqual({ status: 409, code: "STALE_COUNTER" });
    expect(await raw(third.address, sessionKey, 137)).toEqual({ status: 200, code: "accepted" });
  });
});

describe("a join is refused", () => {
  it("when the protocol versions do not meet", async () => {
    expect(await joined({ protocolMin: 2, protocolMax: 3 })).toBe("PROTOCOL_VERSION");
    expect(await joined({ protocolMin: 0, protocolMax: 0 })).toBe("PROTOCOL_VERSION");
  });
  it("when its clock is wrong, or it is older than the one before", async () => {
    expect(await joined({ issuedAt: BigInt(harness.clock.now() - 300_001) })).toBe("CLOCK_SKEW");
    expect(await joined({ issuedAt: BigInt(harness.clock.now() + 300_001) })).toBe("CLOCK_SKEW");
    expect(await refusal(() => harness.worker("31").join())).toBe("STALE_JOIN");
    // Before anybody looks at its signature.
    expect(await refusal(() => harness.worker("31").join({}, other.account))).toBe("STALE_JOIN");
  });
  it("when somebody else signed it", async () => {
    expect(await joined({}, other.account)).toBe("BAD_SIGNATURE");
  });
  it("that somebody else signed before the chain is asked for its build", async () => {
    const build = hash("98");
    const asked = vi.spyOn(harness.chain, "isAdmitted");
    onTestFinished(() => asked.mockRestore());
    expect(await joined({ build }, other.account)).toBe("BAD_SIGNATURE");
    expect(asked).not.toHaveBeenCalled();
    expect(await joined({ build })).toBe("BUILD_UNKNOWN");
    expect(asked).toHaveBeenCalledWith(runId, build);
  });
  it("for a build, a lease or a run that is not known", async () => {
    expect(await joined({ build: hash("99") })).toBe("BUILD_UNKNOWN");
    expect(await joined({ lease: hash("99") })).toBe("LEASE_UNKNOWN");
    expect(await joined({ runId: hash("99") })).toBe("RUN_UNKNOWN");
  });
  it("for a beneficiary that nobody has the key of", async () => {
    expect(await joined({ beneficiary: `0x${"00".repeat(20)}` })).toBe("ZERO_BENEFICIARY");
  });
  it("when the run is full", async () => {
    // Three are here, four may be.
    await harness.worker("35").join();
    expect(params.maxWorkers).toBe(4);
    expect(await joined({})).toBe("RUN_FULL");
    await harness.run.driver.submit({ type: "MemberLeft", worker: harness.worker("35").address, reason: "left" });
  });
});

describe("a verdict is refused", () => {
  it("of somebody who is no validator, or signed by another", async () => {
    expect(await judged({}, worker.account)).toBe("NOT_A_VALIDATOR");
    expect(await judged({ validator: lower(validators[1]!.address) })).toBe("BAD_SIGNATURE");
  });
  it("about another run, or a head that is not known", async () => {
    expect(await judged({ runId: hash("98") })).toBe("WRONG_RUN");
    expect(await judged({ head: hash("99") })).toBe("HEAD_UNKNOWN");
  });
  it("out of its kind's range", async () => {
    expect(await judged({ kind: 9 })).toBe("WRONG_VERDICT");
    expect(await judged({ kind: 3, index: 0, value: 1n })).toBe("WRONG_VERDICT");
    expect(await judged({ kind: 3, index: 4, value: 0n })).toBe("WRONG_VERDICT");
    expect(await judged({ kind: 4, worker: worker.address })).toBe("WRONG_VERDICT");
    for (const index of [0, 8, 63, 512, 2 ** 32 - 1]) expect(await judged({ kind: 4, index })).toBe("WRONG_VERDICT");
    expect(await judged({ round: 5n })).toBe("WRONG_VERDICT");
    expect(await judged({ value: 2n ** 53n })).toBe("WRONG_VERDICT");
  });
  it("when it contradicts the validator's own", async () => {
    const [first] = measuringOrder(
      harness.run.driver.state.heads.at(-1)!.head,
      validators.map(({ address }) => lower(address)),
    );
    const drawn = validators.find(({ address }) => lower(address) === first)!;
    await harness.client.submitVerdict(runId, await verdictOf(harness, drawn, { value: 5n }));
    expect(await judged({ value: 5n }, drawn)).toBe("accepted");
    expect(await judged({ value: 6n }, drawn)).toBe("EQUIVOCATION");
  });
});

describe("others are refused", () => {
  it("who control the run without the operator's token", async () => {
    expect(await refusal(() => harness.client.control(runId, `${OPERATOR}x`, { action: "pause" }))).toBe(
      "OPERATOR_TOKEN",
    );
  });
  it("who attest an epoch that collects nothing", async () => {
    const body = {
      epochDigest: hash("99"),
      validator: lower(validators[0]!.address),
      signature: `0x${"00".repeat(65)}`,
    } as const;
    expect(await refusal(() => harness.client.submitAttestation(runId, 3, body))).toBe("EPOCH_UNKNOWN");
  });
  it("who ask for what is not there", async () => {
    expect(await refusal(() => harness.client.blob(runId, hash("99") as Digest, 10))).toBe("BLOB_NOT_FOUND");
    expect(await refusal(() => harness.client.run(hash("99") as typeof runId))).toBe("RUN_UNKNOWN");
    expect(await refusal(() => harness.client.reward(runId, worker.address))).toBe("ACCOUNT_UNKNOWN");
    expect(await refusal(() => harness.client.blobPart(runId, harness.run.definitionDigest, 1 << 20, 4))).toBe(
      "RANGE_INVALID",
    );
  });
});

describe("after all that", () => {
  it("the honest receipt is accepted, and a second one for the same work is not", async () => {
    await worker.submit(prepared);
    expect(await receiptWith({ commitment: hash("77") })).toBe("ALREADY_SUBMITTED");
  });
});
