/** Routes of rented machines and of who rented them: what became of a lease, and the software that its machine runs. */
import { LeaseRequest, LeaseView, parsePass, passHeader, routes } from "@cotrain/sdk/protocol";

import { createBlobServer } from "../blobs.ts";
import { RefusedError } from "../errors.ts";
import { headerOf } from "../memberRequests.ts";
import { requirePass, tellLease } from "../passes.ts";
import { type Routing, schemaOf, SMALL_BODY } from "./routing.ts";

/** A report may have 32 devices, each with a sentence. */
const REPORT_BODY = 6 * SMALL_BODY;
/** Machines behind one address that begin at once, each tried four times. */
const FETCHES_PER_MINUTE = 64;

export function registerLeases({ app, modules: { software, metrics }, runOf }: Routing): void {
  app.post(
    routes.lease(":runId"),
    {
      bodyLimit: REPORT_BODY,
      schema: schemaOf("Look at a lease, end it, report on it", LeaseView, { body: LeaseRequest }),
    },
    async (request): Promise<LeaseView> => {
      const told = await tellLease(runOf(request), request.body as LeaseRequest, request.ip);
      const packed = await software?.packed();
      return { ...told, software: packed === undefined ? null : { digest: packed.digest, bytes: packed.bytes } };
    },
  );
  const server = software === undefined ? undefined : createBlobServer(software.store, (bytes) => metrics.sent(bytes));
  app.addHook("onClose", () => server?.close());
  app.get(
    routes.software(":runId"),
    {
      config: { rateLimit: { max: FETCHES_PER_MINUTE } },
      schema: schemaOf("The coordinator's own software, for a rented machine", undefined),
    },
    async (request, reply) => {
      const run = runOf(request);
      const lease = await requirePass(run, parsePass(headerOf(request, passHeader)), request.ip);
      if (run.driver.state.leases?.[lease]?.ended)
        throw new RefusedError("LEASE_ENDED", `Lease ${lease} was ended by its renter.`);
      const packed = await software?.packed();
      if (server === undefined || packed === undefined)
        throw new RefusedError("SOFTWARE_NONE", "This coordinator's software cannot be packed.");
      return server.send(request, reply, packed.digest);
    },
  );
}
