/** What a server answers to a request that failed: one form of error, and no word of its insides. */
import type { FastifyReply, FastifyRequest } from "fastify";

import { CotrainError } from "@cotrain/sdk/errors";
import { InternalError } from "../../base/index.ts";
import { describeMiss, type SchemaMiss } from "../settings/schema.ts";

function errorBody(code: string, message: string, details?: CotrainError["details"]): object {
  return { error: { code, message, ...(details && { details }) } };
}

/** Statuses that this room's own codes have everywhere. */
const STATUS_BY_CODE: Readonly<Record<string, number>> = {
  RATE_LIMITED: 429,
  HOST_FORBIDDEN: 403,
  PROXY_REQUIRED: 403,
  ORIGIN_FORBIDDEN: 403,
  BODY_TOO_LARGE: 413,
  STREAM_TOO_LARGE: 413,
  JSON_TOO_LARGE: 413,
  NOT_FOUND: 404,
  BODY_MISSING: 400,
  JSON_INVALID: 400,
  READERS_BUSY: 503,
};

/** What is told of errors that pass and whose own words are not for strangers. */
const LATER: readonly [code: string, message: string] = ["UNAVAILABLE", "The server cannot do it now; try again soon."];
const NO_ROOM: readonly [code: string, message: string] = ["DISK_FULL", "The server has no room now; try again soon."];

/** Fastify's own errors by status, in our words. */
const FRAMEWORK_CODES: Readonly<Record<number, readonly [code: string, message: string]>> = {
  404: ["NOT_FOUND", "There is nothing here."],
  405: ["METHOD_NOT_ALLOWED", "This method is not allowed here."],
  408: ["REQUEST_TIMEOUT", "The request did not arrive in time."],
  413: ["BODY_TOO_LARGE", "The body is larger than is allowed here."],
  415: ["MEDIA_TYPE_UNSUPPORTED", "The body must be application/json, or application/octet-stream for uploads."],
};

/**
 * Says what went wrong in the one form that errors have, with the status that goes with it.
 * @param statusByCode the codes whose words may be told; of any other error only whether trying again helps
 */
export function sendError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  statusByCode: Readonly<Record<string, number>> = {},
): FastifyReply {
  // What is left of an upload is not worth reading; the socket ends with the reply.
  if (!request.raw.complete) void reply.header("connection", "close");

  if (error instanceof CotrainError && !(error instanceof InternalError)) {
    const sent = sendTyped(error, request, reply, statusByCode);
    if (sent) return sent;
  }
  const misses = validationOf(error);
  if (misses) {
    const [first] = misses.list;
    return reply
      .status(400)
      .send(
        errorBody(
          "REQUEST_INVALID",
          `The request's ${misses.part} is not valid: ${first ? describeMiss(first) : "it has the wrong form"}.`,
        ),
      );
  }
  const status = statusOf(error);
  if (status !== undefined && status < 500) {
    const [code, message] = FRAMEWORK_CODES[status] ?? [
      "REQUEST_INVALID",
      error instanceof Error ? error.message : "The request is not valid.",
    ];
    return reply.status(status).send(errorBody(code, message));
  }
  // The caller learns nothing of our insides; the log has it all under the same id.
  request.log.error(about(error, request), "request failed");
  return reply
    .status(500)
    .send(errorBody("INTERNAL", `The server failed; its log has the reason under request ${request.id}.`));
}

const about = (err: unknown, { id, method, url }: FastifyRequest) => ({ err, requestId: id, method, url });

/** What may be told of an error of ours, if anything. */
function sendTyped(
  error: CotrainError,
  request: FastifyRequest,
  reply: FastifyReply,
  statusByCode: Readonly<Record<string, number>>,
): FastifyReply | undefined {
  const { code, message, details, retryable } = error;
  const told = statusByCode[code] ?? STATUS_BY_CODE[code];
  if (told === undefined && !retryable) return undefined;
  const status = told ?? 503;
  if (status === 503) void reply.header("retry-after", "1");
  if (told !== undefined) return reply.status(status).send(errorBody(code, message, details));
  // Of a disk that is full the log has it already.
  if (code === "DISK_FULL") return reply.status(status).send(errorBody(...NO_ROOM));
  request.log.warn(about(error, request), "request failed for now");
  return reply.status(status).send(errorBody(...LATER));
}

function validationOf(error: unknown): { part: string; list: readonly SchemaMiss[] } | undefined {
  if (!(error instanceof Error) || !("validation" in error) || !Array.isArray(error.validation)) return undefined;
  const part = "validationContext" in error ? String(error.validationContext) : "body";
  const list = error.validation as SchemaMiss[];
  const named = list.filter((miss) => miss.keyword === "additionalProperties");
  return { part: part === "querystring" ? "query" : part, list: named.length > 0 ? named : list };
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && "statusCode" in error && typeof error.statusCode === "number"
    ? error.statusCode
    : undefined;
}
