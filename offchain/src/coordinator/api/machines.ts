/** Routes of community machines: they call, they are listed, and who rents them speaks to them. */
import {
  Hash32,
  type Hex,
  MachineCall,
  machineHeader,
  MachineList,
  MachineReply,
  RenterReply,
  RenterWord,
  routes,
} from "@cotrain/sdk/protocol";
import { Type } from "typebox";

import { hearMachine, hearRenter, tellMachines } from "../machines.ts";
import { headerOf } from "../memberRequests.ts";
import { paramOf, type Routing, schemaOf, SMALL_BODY } from "./routing.ts";

/** 32 passes of some 700 bytes, and what stands beside them. */
const WORD_BODY = 6 * SMALL_BODY;

export function registerMachines({ app, runOf }: Routing): void {
  app.post(
    routes.machines(":runId"),
    {
      bodyLimit: SMALL_BODY,
      schema: schemaOf("A community machine calls, and hears its renter", MachineReply, { body: MachineCall }),
    },
    async (request): Promise<MachineReply> => {
      const secret = headerOf(request, machineHeader);
      return { word: await hearMachine(runOf(request), request.body as MachineCall, secret, request.ip) };
    },
  );
  app.get(
    routes.machines(":runId"),
    { schema: schemaOf("Community machines that call", MachineList) },
    async (request): Promise<MachineList> => tellMachines(runOf(request)),
  );
  app.post(
    routes.machineLease(":runId", ":offer"),
    {
      bodyLimit: WORD_BODY,
      schema: schemaOf("A renter speaks to a machine, and hears it", RenterReply, {
        params: Type.Object({ runId: Hash32, offer: Hash32 }),
        body: RenterWord,
      }),
    },
    async (request): Promise<RenterReply> =>
      hearRenter(runOf(request), paramOf(request, "offer") as Hex, request.body as RenterWord, request.ip),
  );
}
