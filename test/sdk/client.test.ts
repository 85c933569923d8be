import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import * as protocol from "@cotrain/sdk/protocol";
import { CoordinatorError } from "@cotrain/sdk/errors";
import { listening } from "../loopback.ts";

type Handler = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

let server: Server;
let url: string;
let handler: Handler;
let seen: { method: string | undefined; path: string | undefined; headers: IncomingMessage["headers"]; body: Buffer }[];

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      seen.push({ method: request.method, path: request.url, headers: request.headers, body });
      handler(request, response, body);
    });
  });
  url = await listening(server);
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  seen = [];
});

const runId = protocol.asRunId(`0x${"1a".repeat(32)}`);
const worker = protocol.asAddress(`0x${"ab".repeat(20)}`);
const bytes = new TextEncoder().encode('{"version":1}');
const digest = protocol.sha256(bytes);
const answer =
  (
    body: string | Uint8Array,
    status = 200,
    headers: Record<string, string> = { "content-type": "application/json" },
  ): Handler =>
  (_, response) => {
    response.writeHead(status, headers).end(body);
  };
const client = () => protocol.createCoordinatorClient(`${url}/`, { timeout: 2_000 });
const failure = (fields: Readonly<Record<string, unknown>>) => expect.objectContaining(fields);

/** What Node's fetch throws. */
const brokenBy = (code: string) => Object.assign(new TypeError("fetch failed"), { cause: { code } });

describe("answers", () => {
  it("come back typed when they fit their schema", async () => {
    handler = answer('{"runs":[]}');
    expect(await client().runs()).toEqual({ runs: [] });
    expect(seen[0]).toMatchObject({ method: "GET", path: "/v1/runs" });
  });

  it.each([
    ["another form", '{"runs":[{}]}', "MALFORMED_DOCUMENT"],
    ["no JSON", "<html>", "NOT_A_COORDINATOR"],
    ["no text", new Uint8Array([0x22, 0xff, 0x22]), "NOT_A_COORDINATOR"],
    ["nothing", "", "NOT_A_COORDINATOR"],
  ])("are refused when they are %s", async (_, body, code) => {
    handler = answer(body);
    await expect(client().runs()).rejects.toThrow(failure({ code, retryable: false }));
  });

  it("that are errors keep the coordinator's code and sentence", async () => {
    const error = { code: "RUN_UNKNOWN", message: "There is no such run.", details: { run: "x" } };
    handler = answer(JSON.stringify({ error }), 404);
    const asked = client().run(runId);
    await expect(asked).rejects.toBeInstanceOf(CoordinatorError);
    await expect(asked).rejects.toThrow(
      failure({
        status: 404,
        code: "RUN_UNKNOWN",
        message: "There is no such run.",
        retryable: false,
        details: { run: "x" },
      }),
    );
  });

  it.each([
    [500, true],
    [503, true],
    [408, true],
    [425, true],
    [429, true],
    [400, false],
    [409, false],
  ])("of status %i: worth another try is %s", async (status, retryable) => {
    handler = answer(JSON.stringify({ error: { code: "X", message: "No." } }), status);
    await expect(client().runs()).rejects.toThrow(failure({ status, code: "X", retryable }));
  });

  it.each([
    [502, true],
    [408, true],
    [425, true],
    [429, true],
    [403, false],
    [404, false],
  ])("of status %i by something that is no coordinator say so", async (status, retryable) => {
    handler = answer("<html>nginx</html>", status);
    await expect(client().runs()).rejects.toThrow(
      failure({
        status,
        code: "NOT_A_COORDINATOR",
        retryable,
        message: `What answers at ${url}/v1/runs is no coordinator: it says ${status} without an error that a coordinator gives.`,
      }),
    );
  });

  it("that list more runs than a coordinator may have are refused", async () => {
    const run = JSON.stringify({ runId, modelId: runId, phase: "" });
    const list = (length: number) => answer(`{"runs":[${Array.from({ length }, () => run).join()}]}`);
    handler = list(protocol.MAX_RUNS);
    expect((await client().runs()).runs).toHaveLength(protocol.MAX_RUNS);
    handler = list(protocol.MAX_RUNS + 1);
    await expect(client().runs()).rejects.toThrow(failure({ code: "MALFORMED_DOCUMENT" }));
  });

  it("about another account than was asked for are refused", async () => {
    const account = `0x${"cd".repeat(20)}`;
    handler = answer(JSON.stringify({ account, epoch: 1, leaves: [], missing: [], next: null, unpaid: [] }));
    await expect(client().reward(runId, worker)).rejects.toThrow(
      failure({ code: "ACCOUNT_FOREIGN", retryable: false }),
    );
  });

  it("with verdicts about another run than was asked for are refused", async () => {
    const other = protocol.asRunId(`0x${"2b".repeat(32)}`);
    const about = { runId, round: "1", head: other, validator: worker, kind: 0, worker };
    const verdict = { ...about, index: 0, value: "1", evidence: other, issuedAt: "1" };
    const signature = `0x${"11".repeat(65)}`;
    handler = answer(JSON.stringify({ verdicts: [{ verdict, signature }] }));
    expect((await client().verdicts(runId)).verdicts).toHaveLength(1);
    await expect(client().verdicts(other)).rejects.toThrow(failure({ code: "RUN_FOREIGN", retryable: false }));
  });

  it("that lead elsewhere are not followed", async () => {
    handler = answer("", 302, { location: "http://127.0.0.1:1/" });
    await expect(client().runs()).rejects.toThrow(failure({ code: "UNREACHABLE" }));
  });

  it("that break off, or do not come in time, can be asked for again", async () => {
    handler = (_, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{", () => void response.destroy());
    };
    await expect(client().runs()).rejects.toThrow(failure({ code: "UNREACHABLE", retryable: true }));
    handler = () => undefined;
    const hasty = protocol.createCoordinatorClient(url, { timeout: 50 });
    await expect(hasty.runs()).rejects.toThrow(failure({ code: "UNREACHABLE", retryable: true }));
    handler = (_, response) => {
      response.writeHead(200).write("{");
    };
    await expect(hasty.runs()).rejects.toThrow(failure({ code: "UNREACHABLE", retryable: true }));
  });

  it("of nobody are an unreachable coordinator", async () => {
    const nobody = protocol.createCoordinatorClient("http://127.0.0.1:1");
    await expect(nobody.runs()).rejects.toThrow(
      failure({ status: 0, code: "UNREACHABLE", message: "The coordinator at http://127.0.0.1:1 does not answer." }),
    );
  });

  it("of what speaks no TLS name the scheme to use, and are worth no other try", async () => {
    const secure = protocol.createCoordinatorClient(url.replace("http:", "https:"));
    await expect(secure.runs()).rejects.toThrow(
      failure({
        code: "NO_TLS",
        retryable: false,
        message: `What answers at ${new URL(url).host} speaks no TLS: write http:// in place of https://.`,
      }),
    );
  });

  it.each([
    ["UND_ERR_SOCKET", "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["HPE_INVALID_CONSTANT", "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["ECONNRESET", undefined],
  ])(
    "that break off by %s where TLS is spoken name the scheme to use, and are worth no other try",
    async (code, tls) => {
      const fetcher = async (asked: string | URL | Request): Promise<Response> => {
        if (new Request(asked).url.startsWith("http:")) throw brokenBy(code);
        if (tls !== undefined) throw brokenBy(tls);
        return new Response("");
      };
      const plain = protocol.createCoordinatorClient("http://train.example:7700", { fetch: fetcher });
      await expect(plain.runs()).rejects.toThrow(
        failure({
          code: "SPEAKS_TLS",
          retryable: false,
          message:
            "What answers at train.example:7700 speaks TLS: write https:// in place of http://, or on its own machine the URL that its status names.",
        }),
      );
    },
  );

  it("of what ends connections, and speaks no TLS either, may come later", async () => {
    handler = (_, response) => void response.destroy();
    await expect(client().runs()).rejects.toThrow(failure({ code: "UNREACHABLE", retryable: true }));
  });

  it.each([
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "CERTIFICATE_UNTRUSTED", /put NODE_EXTRA_CA_CERTS=cert\.pem before/, false],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "CERTIFICATE_UNTRUSTED", /signed by nobody whom this machine trusts/, false],
    ["CERT_HAS_EXPIRED", "CERTIFICATE_EXPIRED", /has expired/, false],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "CERTIFICATE_OTHER", /another name than train\.example/, false],
    ["ENOTFOUND", "HOST_UNKNOWN", /no host train\.example/, true],
    ["ECONNREFUSED", "UNREACHABLE", /does not answer/, true],
  ])("that fail by %s say %s", async (code, name, message, retryable) => {
    let broken = true;
    const fetcher = async (): Promise<Response> => {
      if (broken) throw brokenBy(code);
      return Response.json({ runs: [] });
    };
    const asked = protocol.createCoordinatorClient("https://train.example", { fetch: fetcher });
    const said = { code: name, message: expect.stringMatching(message) as string };
    await expect(asked.runs()).rejects.toThrow(failure({ ...said, retryable }));
    // Of who has answered before, a certificate may be renewed: it is waited for.
    broken = false;
    await asked.runs();
    broken = true;
    await expect(asked.runs()).rejects.toThrow(failure({ ...said, retryable: true }));
  });

  it("may be given up by the caller, whose reason passes through", async () => {
    const session = client().session(runId, worker, `0x${"77".repeat(32)}`);
    const controller = new AbortController();
    const reason = new CoordinatorError(0, "GIVEN_UP", "Enough.");
    handler = () => controller.abort(reason);
    const asked = session.work({ waitSeconds: 5 }, controller.signal);
    await expect(asked).rejects.toBe(reason);
  });
});

describe("blobs", () => {
  it("come whole, by CID, and verified", async () => {
    handler = answer(bytes);
    expect(await client().blob(runId, digest, 100)).toEqual(new Uint8Array(bytes));
    expect(seen[0]?.path).toBe(`/v1/runs/${runId}/blobs/${protocol.cidOf(digest)}`);
  });

  it("of another digest are refused", async () => {
    handler = answer("something else");
    await expect(client().blob(runId, digest, 100)).rejects.toThrow(failure({ code: "BLOB_MISMATCH" }));
  });

  it("of more values than anybody parses, or with longer names, are not parsed", async () => {
    for (const text of [
      `{"runs":[${"0,".repeat(protocol.MAX_JSON_VALUES)}0]}`,
      `{"runs":[],"${"n".repeat(protocol.MAX_JSON_NAME_BYTES + 1)}":0}`,
    ]) {
      handler = answer(text);
      await expect(client().runs()).rejects.toThrow(failure({ code: "ANSWER_TOO_LARGE" }));
    }
  });

  it("above their limit are not read to the end", async () => {
    let written = 0;
    handler = (_, response) => {
      const timer = setInterval(() => {
        written += 64 << 10;
        response.write(Buffer.alloc(64 << 10));
      }, 1);
      response.on("close", () => clearInterval(timer));
      response.writeHead(200);
    };
    await expect(client().blob(runId, digest, 1_000)).rejects.toThrow(failure({ code: "ANSWER_TOO_LARGE" }));
    expect(written).toBeLessThan(16 << 20);
  });

  it("are checked as documents: digest, then JSON, then schema", async () => {
    const modelId = `0x${"11".repeat(32)}`;
    const good = { version: 1, modelId, kind: 1, index: 1, leaves: [{ account: worker, amount: "1" }] };
    const text = protocol.canonicalJson(good);
    handler = answer(text);
    const of = protocol.digestOfJson(good);
    expect(await client().document(runId, of, "Rewards", protocol.RewardsFile)).toEqual(good);
    handler = answer(bytes);
    await expect(client().document(runId, digest, "Rewards", protocol.RewardsFile)).rejects.toThrow(
      failure({ code: "MALFORMED_DOCUMENT" }),
    );
    const noJson = new TextEncoder().encode("not json");
    handler = answer(noJson);
    await expect(client().document(runId, protocol.sha256(noJson), "Rewards", protocol.RewardsFile)).rejects.toThrow(
      failure({ code: "NOT_A_COORDINATOR" }),
    );
  });

  it("come in parts by range", async () => {
    handler = (request, response) => {
      expect(request.headers.range).toBe("bytes=2-5");
      response.writeHead(206).end(bytes.subarray(2, 6));
    };
    expect(await client().blobPart(runId, digest, 2, 4)).toEqual(new Uint8Array(bytes.subarray(2, 6)));
  });

  it.each([
    ["the whole blob", 200, bytes.subarray(0, 4), "BLOB_MISMATCH"],
    ["too little", 206, bytes.subarray(0, 3), "BLOB_MISMATCH"],
    ["too much", 206, bytes.subarray(0, 5), "ANSWER_TOO_LARGE"],
  ])("are refused when a range is answered by %s", async (_, status, body, code) => {
    handler = answer(body, status);
    await expect(client().blobPart(runId, digest, 0, 4)).rejects.toThrow(failure({ code }));
  });
});

describe("what is sent", () => {
  const key: protocol.Hex = `0x${"77".repeat(32)}`;

  it("carries the session's MAC over method, path, body and a rising counter", async () => {
    handler = answer('{"round":3,"phase":"Training","work":null}');
    const session = client().session(runId, protocol.asAddress(worker), key);
    const beat = { round: 3, step: 1, loss: null, tokensPerSecond: null, uploading: false };
    await session.heartbeat(beat);
    await session.heartbeat({ ...beat, step: 2 });
    for (const [index, { method, path, headers, body }] of seen.entries()) {
      expect(headers[protocol.sessionHeaders.worker]).toBe(worker);
      expect(headers[protocol.sessionHeaders.counter]).toBe(String(index + 1));
      const input = { method: method!, path: path!, body: protocol.sha256(body), counter: index + 1 };
      expect(headers[protocol.contentDigestHeader]).toBe(input.body);
      expect(await protocol.verifySessionMac(key, input, String(headers[protocol.sessionHeaders.mac]))).toBe(true);
      expect(JSON.parse(body.toString())).toEqual({ ...beat, step: index + 1 });
    }
  });

  it("as a fragment is a stream of bytes under its digest", async () => {
    handler = answer(JSON.stringify({ digest, bytes: bytes.length }));
    const session = client().session(runId, worker, key);
    expect(await session.uploadFragment(5, 1, 2, new Uint8Array(bytes), digest)).toEqual({
      digest,
      bytes: bytes.length,
    });
    const [{ method, path, headers, body } = seen[0]!] = seen;
    expect([method, path]).toEqual(["PUT", `/v1/runs/${runId}/assignments/5/attempts/1/fragments/2`]);
    expect(headers["content-type"]).toBe("application/octet-stream");
    expect(headers[protocol.contentDigestHeader]).toBe(digest);
    expect(new Uint8Array(body)).toEqual(new Uint8Array(bytes));
    const input = { method: "PUT", path: path!, body: digest, counter: 1 };
    expect(await protocol.verifySessionMac(key, input, String(headers[protocol.sessionHeaders.mac]))).toBe(true);
  });

  it("as control carries the organiser's token", async () => {
    handler = answer('{"accepted":true}');
    await client().control(runId, "secret", { action: "pause" });
    expect(seen[0]).toMatchObject({ method: "POST", path: `/v1/runs/${runId}/control` });
    expect(seen[0]?.headers.authorization).toBe("Bearer secret");
  });

  it("asks for rewards of an account in lower case", async () => {
    const view = { account: worker, epoch: 1, leaves: [{ index: 1, amount: "5", proof: [] }], missing: [], unpaid: [] };
    handler = answer(JSON.stringify({ ...view, next: null }));
    expect(await client().reward(runId, worker.toUpperCase().replace("0X", "0x") as protocol.Address)).toEqual(view);
    expect(seen[0]?.path).toBe(`/v1/runs/${runId}/rewards/${worker}?from=1`);
  });

  it("asks for rewards page by page, from where it is told to, and not for ever", async () => {
    const pageOf =
      (next: (from: number) => number | null, empty = false): Handler =>
      (request, response) => {
        const from = Number(new URL(request.url ?? "", "http://x").searchParams.get("from"));
        response.end(
          JSON.stringify({
            account: worker,
            epoch: 9,
            leaves: empty ? [] : [{ index: from, amount: "5", proof: [] }],
            missing: empty ? [] : [from + 1],
            next: next(from),
            unpaid: [],
          }),
        );
      };
    handler = pageOf((from) => (from < 7 ? from + 2 : null));
    const all = await client().reward(runId, worker, 2);
    expect(all.leaves.map(({ index }) => index)).toEqual([3, 5, 7]);
    expect(all.missing).toEqual([4, 6, 8]);
    handler = pageOf((from) => from);
    await expect(client().reward(runId, worker)).rejects.toThrow(failure({ code: "ANSWER_TOO_LARGE" }));
    // Pages of nothing come to no end either.
    handler = pageOf((from) => from + 1, true);
    await expect(client().reward(runId, worker)).rejects.toThrow(failure({ code: "ANSWER_TOO_LARGE" }));
  });
});
