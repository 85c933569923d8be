/** What Akash's console is given of an order: a deployment in its stack definition language. */
import { argumentsOf } from "../../base/orders.ts";
import type { Order } from "../../base/renting.ts";
import { bidBelow } from "../../money.ts";

/** The deployment in SDL; JSON is YAML. */
export function sdlOf(order: Order): string {
  const { offer, image, environment, diskGb, maximumPerHour } = order;
  const [vendor = "nvidia", model = "", ram, form] = offer.providerId.split("/");
  const [command, ...args] = argumentsOf(order);
  const kind = { model, ...(ram ? { ram } : {}), ...(form ? { interface: form.toLowerCase() } : {}) };
  const resources = {
    cpu: { units: 8 * offer.count },
    memory: { size: `${32 * offer.count}Gi` },
    storage: { size: `${diskGb}Gi` },
    gpu: { units: offer.count, attributes: { vendor: { [vendor]: [kind] } } },
  };
  return JSON.stringify({
    version: "2.0",
    services: {
      worker: {
        image,
        env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
        command: [command],
        args,
        // A deployment without a port is refused; nothing listens there.
        expose: [{ port: 80, as: 80, to: [{ global: true }] }],
      },
    },
    profiles: {
      compute: { worker: { resources } },
      placement: {
        any: { pricing: { worker: { denom: "uact", amount: Number(bidBelow(maximumPerHour)) } } },
      },
    },
    deployment: { worker: { any: { profile: "worker", count: 1 } } },
  });
}
