/**
 * One's own machines, reached over SSH: a JSON file says what they are and what an hour of them costs, nothing where none is told.
 * They are offers among the others, and the only ones that may cost nothing.
 */
import { type Static, Type } from "typebox";

import { UserError } from "../base/index.ts";
import { readJsonBounded } from "../base/node/index.ts";
import { findMiss } from "../service/index.ts";
import type { Listing } from "./base/adapter.ts";
import { shellAt } from "./base/instances.ts";
import type { ShellAddress } from "./base/renting.ts";
import { present } from "./base/rows.ts";
import { gpuOf } from "./gpus.ts";
import { microUsdOf } from "./money.ts";
import type { Offer, OfferDraft } from "./offer.ts";
import type { SshHost } from "./ssh.ts";

const Machine = Type.Object(
  {
    /** Unique in the file. */
    name: Type.String({ pattern: "^[A-Za-z0-9._-]{1,60}$" }),
    /** `user@host`, `user@host:port`. */
    ssh: Type.String({ pattern: "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}@[A-Za-z0-9[][A-Za-z0-9.:\\]-]{0,199}$" }),
    /** File of the private key that it takes; default the agent's keys. `ssh` reads % in it as more than a character. */
    key: Type.Optional(Type.String({ pattern: "^[^%\\u0000-\\u001f\\u007f]{1,400}$" })),
    gpu: Type.String({ minLength: 1, maxLength: 80 }),
    gpus: Type.Integer({ minimum: 1, maximum: 64 }),
    vramGb: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_048 })),
    /** US dollars as a decimal, e.g. `"0.12"` for its electricity. */
    usdPerHour: Type.Optional(Type.String({ pattern: "^\\d{1,5}(\\.\\d{1,6})?$" })),
    architecture: Type.Optional(Type.Union([Type.Literal("x86_64"), Type.Literal("arm64")])),
    cpus: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_096 })),
    ramGb: Type.Optional(Type.Integer({ minimum: 1, maximum: 131_072 })),
    diskGb: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
    country: Type.Optional(Type.String({ pattern: "^[A-Z]{2}$" })),
    downMbps: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
    upMbps: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
  },
  { additionalProperties: false },
);
const MachinesFile = Type.Object(
  { machines: Type.Array(Machine, { maxItems: 1_000 }) },
  { additionalProperties: false },
);

const MAX_FILE_BYTES = 1 << 20;
/** A file says nothing of when its machines are taken away. */
const VALID_FOR = 24 * 3_600_000;

function offerOf(machine: Static<typeof Machine>, path: string, now: number): Offer {
  const gpu = gpuOf(machine.gpu, machine.vramGb);
  if (gpu === undefined)
    throw new UserError(
      "MACHINES_FILE",
      `${path}: of "${machine.name}" tell "vramGb", since ${machine.gpu} is not known.`,
    );
  return {
    id: `own:${machine.name}`,
    provider: "own",
    providerId: machine.name,
    upstream: "own",
    machineId: machine.ssh,
    kind: "bare-metal",
    gpu,
    count: machine.gpus,
    architecture: machine.architecture ?? "x86_64",
    tier: "secure",
    price: { charge: "on-demand", perHour: microUsdOf(machine.usdPerHour ?? "0", "usd"), firm: true },
    stock: "in stock",
    ...present<Partial<OfferDraft>>({
      cpus: machine.cpus,
      ramGb: machine.ramGb,
      diskGb: machine.diskGb,
      diskIncludedGb: machine.diskGb,
      country: machine.country,
      downMbps: machine.downMbps,
      upMbps: machine.upMbps,
    }),
    backstop: "own",
    granularitySeconds: 1,
    bootBilled: false,
    prepaid: false,
    observedAt: now,
    expiresAt: now + VALID_FOR,
    source: "live",
  };
}

/** `me@box.example:22`, `me@[2001:db8::1]:22` → its parts. @throws UserError `MACHINES_FILE` */
function addressOf({ name, ssh }: Static<typeof Machine>, path: string): ShellAddress {
  const [, user, inBrackets, host, port = "22"] =
    /^([^@]+)@(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(ssh) ?? [];
  const address = shellAt(inBrackets ?? host, Number(port), user);
  if (address === undefined)
    throw new UserError(
      "MACHINES_FILE",
      `${path}: of "${name}" tell "ssh" as user@host or user@host:port, an address of IPv6 in [brackets].`,
    );
  return address;
}

/** Where the machines of a file are reached, each under one name. @throws as {@link listOwnMachines} */
export async function readOwnMachines(path: string): Promise<readonly SshHost[]> {
  const machines = await machinesOf(path);
  return machines.map((machine, index) => {
    const { name, ssh, key } = machine;
    const other = machines.slice(0, index).find((each) => each.ssh === ssh);
    if (other !== undefined)
      throw new UserError("MACHINES_FILE", `${path}: "${other.name}" and "${name}" are one machine.`);
    return { name, address: addressOf(machine, path), key };
  });
}

/**
 * The machines of a file as offers.
 * @throws UserError `FILE_UNREADABLE`, `FILE_TOO_LARGE`, `JSON_INVALID`, `MACHINES_FILE`
 */
export async function listOwnMachines(path: string, now: number): Promise<Listing> {
  const machines = await machinesOf(path);
  return {
    provider: "own",
    offers: machines.map((machine) => offerOf(machine, path, now)),
    refused: {},
    observedAt: now,
  };
}

async function machinesOf(path: string): Promise<readonly Static<typeof Machine>[]> {
  const value = await readJsonBounded(path, MAX_FILE_BYTES);
  const miss = findMiss(MachinesFile, value);
  if (miss !== undefined) throw new UserError("MACHINES_FILE", `${path}: ${miss}.`);
  const { machines } = value as Static<typeof MachinesFile>;
  const twice = machines.find(({ name }, index) => machines.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw new UserError("MACHINES_FILE", `${path}: two machines are called "${twice.name}".`);
  return machines;
}
