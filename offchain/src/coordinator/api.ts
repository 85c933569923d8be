/**
 * The HTTP API as one Fastify plugin over the runs of this process; routes and bodies are the protocol's own. Routes are in api/,
 * by who asks.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import type { FastifyRequest } from "fastify";

import { parseJsonBounded } from "../base/index.ts";
import type { HttpApp } from "../service/index.ts";
import { registerLeases } from "./api/leases.ts";
import { registerMachines } from "./api/machines.ts";
import { registerMembership, registerWork } from "./api/members.ts";
import { registerBlobs, registerViews } from "./api/reads.ts";
import { type ApiModules, findRun, type Routing, runOf } from "./api/routing.ts";
import { registerStatements } from "./api/statements.ts";
import { createMemberRequests } from "./memberRequests.ts";

async function plugin(app: HttpApp, modules: ApiModules): Promise<void> {
  // Replies are made from typed views; the schemas of replies are for OpenAPI.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.removeContentTypeParser("application/json");
  const routing: Routing = {
    app,
    modules,
    runOf: (request) => runOf(modules, request),
    members: createMemberRequests(
      app,
      (request) => findRun(modules, request),
      (request) => runOf(modules, request),
    ),
  };
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, async (request: FastifyRequest, body: Buffer) => {
    routing.members.hold(request, body);
    return parseJsonBounded(body, body.length, "The body");
  });
  app.addHook("onError", async (_request, _reply, error) => {
    if (error instanceof CotrainError) modules.metrics.refused(error.code);
  });
  registerViews(routing);
  registerBlobs(routing);
  registerMembership(routing);
  registerLeases(routing);
  registerMachines(routing);
  registerWork(routing);
  registerStatements(routing);
}

export function createApi(modules: ApiModules): (app: HttpApp) => Promise<void> {
  // Encapsulated: its parsers and serializer are its own.
  return async (app) => {
    await app.register((scope) => plugin(scope as unknown as HttpApp, modules));
  };
}
