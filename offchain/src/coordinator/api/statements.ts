/** Routes of validators, who sign, and of the operator, who pauses. */
import { createHash, timingSafeEqual } from "node:crypto";

import { Accepted, AttestationRequest, ControlRequest, Hash32, routes, SignedVerdict } from "@cotrain/sdk/protocol";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";

import { RefusedError } from "../errors.ts";
import { headerOf } from "../memberRequests.ts";
import { acceptAttestation, acceptVerdict } from "../statements.ts";
import { type ApiModules, Integer, paramOf, type Routing, schemaOf, SMALL_BODY } from "./routing.ts";

const hashOf = (text: string): Buffer => createHash("sha256").update(text).digest();

function requireOperator({ operatorToken }: ApiModules, request: FastifyRequest): void {
  const [given, due] = [hashOf(headerOf(request, "authorization")), hashOf(`Bearer ${operatorToken}`)];
  if (timingSafeEqual(given, due)) return;
  throw new RefusedError(
    "OPERATOR_TOKEN",
    "Only the operator controls a run: send its token as Authorization: Bearer.",
  );
}

export function registerStatements({ app, modules, runOf }: Routing): void {
  app.post(
    routes.verdicts(":runId"),
    { bodyLimit: SMALL_BODY, schema: schemaOf("Submit a verdict", Accepted, { body: SignedVerdict }) },
    async (request) => acceptVerdict(runOf(request), request.body as SignedVerdict, request.ip),
  );
  app.post(
    routes.attestations(":runId", ":epoch"),
    {
      bodyLimit: SMALL_BODY,
      schema: schemaOf("Attest an epoch", Accepted, {
        params: Type.Object({ runId: Hash32, epoch: Integer }),
        body: AttestationRequest,
      }),
    },
    async (request) =>
      acceptAttestation(
        runOf(request),
        Number(paramOf(request, "epoch")),
        request.body as AttestationRequest,
        request.ip,
      ),
  );
  app.post(
    routes.control(":runId"),
    { bodyLimit: SMALL_BODY, schema: schemaOf("Pause or resume", Accepted, { body: ControlRequest }) },
    async (request) => {
      const run = runOf(request);
      requireOperator(modules, request);
      const { action } = request.body as ControlRequest;
      const type = action === "pause" ? "PauseRequested" : "ResumeRequested";
      try {
        await run.driver.submit({ type, by: "operator" });
      } catch (error) {
        // It is so already.
        if (!(error instanceof RefusedError) || error.code !== "OBSOLETE") throw error;
      }
      return { accepted: true };
    },
  );
}
