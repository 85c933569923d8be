/** HTTP client of a coordinator, for browsers and Node alike. Everything that comes back is checked against its schema. */
import type { Static, TSchema } from "typebox";
import { createBlobRequests } from "./blobRequests.ts";
import { parseDocument } from "./documents.ts";
import type { SignedVerdict } from "./epochDocuments.ts";
import type { Address, Digest, Hex, RunId } from "./ids.ts";
import { createMemberClient } from "./memberClient.ts";
import * as messages from "./messages.ts";
import { type CoordinatorClientOptions, createRequests, MAX_ANSWER_BYTES, parseJson } from "./requests.ts";
import { routes } from "./routes.ts";
import { createRunRequests } from "./runRequests.ts";

export { sha256Async } from "./blobRequests.ts";
export type { CoordinatorClientOptions } from "./requests.ts";

export type CoordinatorClient = ReturnType<typeof createCoordinatorClient>;

/**
 * @param url base of the coordinator, e.g. http://127.0.0.1:7700
 * @throws CoordinatorError from every call: code UNREACHABLE and HOST_UNKNOWN (retryable), NO_TLS and CERTIFICATE_*
 *   (retryable once it has answered), ANSWER_TOO_LARGE, the coordinator's own code, or NOT_A_COORDINATOR; RUN_FOREIGN and
 *   ACCOUNT_FOREIGN for an answer about another run or account than was asked for; ProtocolError MALFORMED_DOCUMENT for an
 *   answer of another form. A caller's own abort passes through.
 */
export function createCoordinatorClient(url: string, options: CoordinatorClientOptions = {}) {
  const requests = createRequests(url, options);
  const blobs = createBlobRequests(requests);
  const { base, json } = requests;

  /** A published JSON document, verified by digest and by schema. */
  async function document<T extends TSchema>(
    runId: RunId,
    digest: Digest,
    what: string,
    schema: T,
    limit = MAX_ANSWER_BYTES,
  ): Promise<Static<T>> {
    const bytes = await blobs.blob(runId, digest, limit);
    return parseDocument(what, schema, parseJson(200, bytes, base + routes.blob(runId, digest)));
  }

  return {
    url: base,
    runs: () => json(routes.runs(), messages.RunList),
    ...createRunRequests(requests),
    blob: (runId: RunId, digest: Digest, limit: number) => blobs.blob(runId, digest, limit),
    blobPart: (runId: RunId, digest: Digest, offset: number, length: number) =>
      blobs.blobPart(runId, digest, offset, length),
    document,
    join: (runId: RunId, body: messages.JoinRequest) => json(routes.join(runId), messages.JoinReply, { json: body }),
    /** What became of a lease. */
    lease: (runId: RunId, body: messages.LeaseRequest) => json(routes.lease(runId), messages.LeaseView, { json: body }),
    /** Community machines that call this coordinator. */
    machines: (runId: RunId) => json(routes.machines(runId), messages.MachineList),
    /** A community machine's call: what it does, and what its renter says. */
    callOfMachine: (runId: RunId, secret: Hex, body: messages.MachineCall) =>
      json(routes.machines(runId), messages.MachineReply, {
        json: body,
        headers: { [messages.machineHeader]: secret },
      }),
    /** What a renter says to a machine, and what that says. */
    wordOfRenter: (runId: RunId, offer: Hex, body: messages.RenterWord) =>
      json(routes.machineLease(runId, offer), messages.RenterReply, { json: body }),
    submitVerdict: (runId: RunId, body: SignedVerdict) =>
      json(routes.verdicts(runId), messages.Accepted, { json: body }),
    submitAttestation: (runId: RunId, epoch: number, body: messages.AttestationRequest) =>
      json(routes.attestations(runId, epoch), messages.Accepted, { json: body }),
    control: (runId: RunId, token: string, body: messages.ControlRequest) =>
      json(routes.control(runId), messages.Accepted, { json: body, headers: { authorization: `Bearer ${token}` } }),
    /** The calls of a member whose join was accepted. */
    session: (runId: RunId, worker: Address, key: Hex) => createMemberClient(requests, blobs, { runId, worker, key }),
  };
}
