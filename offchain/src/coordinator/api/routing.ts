/** What the routes share: the runs, who asks, and the form of a schema. */
import { ErrorBody, Hash32, type RunId } from "@cotrain/sdk/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type TSchema, Type } from "typebox";

import type { HttpApp } from "../../service/index.ts";
import { RefusedError } from "../errors.ts";
import type { MemberRequests } from "../memberRequests.ts";
import type { CoordinatorMetrics } from "../metrics.ts";
import type { Run } from "../run.ts";
import type { Software } from "../software.ts";

export interface ApiModules {
  readonly runs: ReadonlyMap<RunId, Run>;
  /** Bearer token of pause and resume. */
  readonly operatorToken: string;
  readonly metrics: CoordinatorMetrics;
  /** What rented machines run; undefined where none is served. */
  readonly software: Software | undefined;
  /** Aborted when the coordinator ends: long polls are answered. */
  readonly signal: AbortSignal;
}

export interface Routing {
  readonly app: HttpApp;
  readonly modules: ApiModules;
  readonly members: MemberRequests;
  /** @throws RefusedError RUN_UNKNOWN */
  readonly runOf: (request: FastifyRequest) => Run;
}

export const SMALL_BODY = 8 << 10;
export const Integer = Type.String({ pattern: "^[0-9]{1,15}$" });
const RunParam = Type.Object({ runId: Hash32 });

/** A parameter of the path; the route's schema has checked its form. */
export const paramOf = (request: { readonly params: unknown }, name: string): string =>
  (request.params as Readonly<Record<string, string>>)[name] ?? "";

/** Schemas of a route, for validation and OpenAPI. */
export const schemaOf = (summary: string, reply: TSchema | undefined, parts: Record<string, TSchema> = {}) => ({
  summary,
  params: RunParam,
  ...parts,
  ...(reply && { response: { 200: reply, "4xx": ErrorBody, "5xx": ErrorBody } }),
});

/** Aborted when whoever asked has hung up, or been answered. */
export function goneOf({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.once("close", () => gone.abort());
  // It may have closed before the handler was called.
  if (raw.destroyed) gone.abort();
  return gone.signal;
}

export const findRun = ({ runs }: ApiModules, request: FastifyRequest): Run | undefined =>
  runs.get(paramOf(request, "runId") as RunId);

/** @throws RefusedError RUN_UNKNOWN */
export function runOf(modules: ApiModules, request: FastifyRequest): Run {
  const run = findRun(modules, request);
  if (run) return run;
  throw new RefusedError(
    "RUN_UNKNOWN",
    `This coordinator does not have run ${paramOf(request, "runId").slice(0, 80)}.`,
  );
}
