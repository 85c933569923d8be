/** What a server answers to a request that failed: one form of error, and no word of its insides. */
import type { FastifyReply, FastifyRequest } from "fastify";

import { CotrainError } from "@cotrain/sdk/errors";
import { InternalError } from "../../base/index.ts";
import { describeMiss, type SchemaMiss } from "../settings/schema.ts";

export function errorBody(code: string, message: string, details?: CotrainError["details"]): object {
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
};

/** Fastify's own errors by status, in our words. */
const FRAMEWORK_CODES: Readonly<Record<number, readonly [code: string, message: string]>> = {
  404: ["NOT_FOUND", "There is nothing here."],
  405: ["METHOD_NOT_ALLOWED", "This method is not allowed here."],
  408: ["REQUEST_TIMEOUT", "The request did not arrive in time."],
  413: ["BODY_TOO_LARGE", "The body is larger than is allowed here."],
  415: ["MEDIA_TYPE_UNSUPPORTED", "The body must be application/json, or application/octet-stream for uploads."],
};

/** Says what went wrong in the one form that errors have, with the status that goes with it. */
export function sendError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  statusByCode: Readonly<Record<string, number>> = {},
): FastifyReply {
  // What is left of an upload is not worth reading; the socket ends with the reply.
  if (!request.raw.complete) void reply.header("connection", "close");

  if (error instanceof CotrainError && !(error instanceof InternalError)) {
    const status = statusByCode[error.code] ?? STATUS_BY_CODE[error.code] ?? (error.retryable ? 503 : 400);
    if (status === 503) void reply.header("retry-after", "1");
    return reply.status(status).send(errorBody(error.code, error.message, error.details));
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
  request.log.error({ err: error, requestId: request.id, method: request.method, url: request.url }, "request failed");
  return reply
    .status(500)
    .send(errorBody("INTERNAL", `The server failed; its log has the reason under request ${request.id}.`));
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
