/**
 * Messages about community machines, which a coordinator passes on: a machine calls, says what it is offered for and what it does, and
 * hears what its renter says. Nothing of it is the coordinator's word: offer, question, answer, passes and vouchers are signed by who
 * says them. A machine is known by a secret, of which its offer has the hash, so that nobody else hears what is said to it.
 */
import { type Static, Type } from "typebox";
import { keccak256, stringToHex } from "viem";
import { canonicalJson } from "./canonicalJson.ts";
import { Address20, closed, Count, Hash32, Signature65 } from "./fields.ts";
import type { Hex } from "./ids.ts";
import { SignedPass } from "./leaseMessages.ts";
import type { LeaseTerms } from "./leases.ts";
import { wireSchema, type WireStruct } from "./typedData.ts";

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);
const whole = (minimum: number, maximum: number) => Type.Integer({ minimum, maximum });

/** Carries a machine's secret. */
export const machineHeader = "cotrain-machine";
/** What a secret is: 32 bytes that nobody can guess. */
export const machineSecret = /^0x[0-9a-f]{64}$/;

/** Workers of one machine, each of which has a pass. */
export const MAX_PASSES = 32;

/** What a machine's owner says that it is; the offer's `hardware` is its hash. */
export const MachineFacts = Type.Object(
  {
    gpu: Type.String({ minLength: 1, maxLength: 64 }),
    gpus: whole(1, 64),
    /** Of one GPU. */
    vramGb: whole(1, 2_048),
    cpus: whole(1, 4_096),
    ramGb: whole(1, 131_072),
    diskGb: whole(1, 10_000_000),
    /** keccak256 of the machine's secret. */
    caller: Hash32,
  },
  closed,
);
export type MachineFacts = Static<typeof MachineFacts>;

export const hardwareOf = (facts: MachineFacts): Hex => keccak256(stringToHex(canonicalJson(facts)));
/** What an offer has of a machine's secret. */
export const callerOf = (secret: Hex): Hex => keccak256(secret);

/** An offer with all that it commits to, and where its signature counts. */
export interface ListedOffer {
  /** Address of ComputeEscrow, under whose domain it is signed. */
  readonly escrow: `0x${string}`;
  readonly offer: WireStruct<"MachineOffer">;
  readonly signature: `0x${string}`;
  readonly facts: MachineFacts;
}
export const ListedOffer = Type.Unsafe<ListedOffer>(
  Type.Object(
    { escrow: Address20, offer: wireSchema("MachineOffer"), signature: Signature65, facts: MachineFacts },
    closed,
  ),
);

/** What a machine says of the lease that it has; `over` once it does nothing more for it. */
export interface MachineSaid {
  readonly leaseId: `0x${string}`;
  readonly state: "accepted" | "working" | "over";
  readonly accept: { readonly accept: WireStruct<"LeaseAccept">; readonly signature: `0x${string}` };
  /** Why it is over, for people. */
  readonly words: string;
}
export const MachineSaid = Type.Unsafe<MachineSaid>(
  Type.Object(
    {
      leaseId: Hash32,
      state: Type.Union([Type.Literal("accepted"), Type.Literal("working"), Type.Literal("over")]),
      accept: Type.Object({ accept: wireSchema("LeaseAccept"), signature: Signature65 }, closed),
      words: Type.String({ maxLength: 200 }),
    },
    closed,
  ),
);

/** A machine calls: it is there, and this is what it does. */
export interface MachineCall extends ListedOffer {
  readonly said: MachineSaid | null;
}
export const MachineCall = Type.Unsafe<MachineCall>(
  Type.Object(
    {
      escrow: Address20,
      offer: wireSchema("MachineOffer"),
      signature: Signature65,
      facts: MachineFacts,
      said: Nullable(MachineSaid),
    },
    closed,
  ),
);

/** LeaseTerms as JSON. */
export const LeaseTermsWire = Type.Unsafe<LeaseTerms>(
  Type.Object(
    {
      renter: Address20,
      provider: Address20,
      machine: Address20,
      signer: Address20,
      token: Address20,
      notice: whole(1, 2_592_000),
      salt: Hash32,
    },
    closed,
  ),
);

/** All that a renter has to say of a lease; the newest takes the place of what was said before. */
export interface RenterWord {
  readonly terms: LeaseTerms;
  readonly asked: { readonly offer: WireStruct<"LeaseOffer">; readonly signature: `0x${string}` };
  /** For the machine's workers; none before it has accepted and the channel is open. */
  readonly passes: readonly SignedPass[];
  readonly voucher: { readonly voucher: WireStruct<"Voucher">; readonly signature: `0x${string}` } | null;
  /** Nothing more is paid. */
  readonly end: boolean;
}
export const RenterWord = Type.Unsafe<RenterWord>(
  Type.Object(
    {
      terms: LeaseTermsWire,
      asked: Type.Object({ offer: wireSchema("LeaseOffer"), signature: Signature65 }, closed),
      passes: Type.Array(SignedPass, { maxItems: MAX_PASSES }),
      voucher: Nullable(Type.Object({ voucher: wireSchema("Voucher"), signature: Signature65 }, closed)),
      end: Type.Boolean(),
    },
    closed,
  ),
);

/** What a machine hears. */
export const MachineReply = Type.Object({ word: Nullable(RenterWord) });
export type MachineReply = Static<typeof MachineReply>;

/** What a renter hears of a machine. */
export const RenterReply = Type.Object({ heardMs: Count, said: Nullable(MachineSaid) });
export type RenterReply = Static<typeof RenterReply>;

/** A machine that calls. */
export interface MachineView extends ListedOffer {
  /** Ms since it last called. */
  readonly heardMs: number;
  /** Whether it has a lease, or is being asked. */
  readonly taken: boolean;
}
/** Machines that call, at most {@link MAX_MACHINES}. */
export const MachineList = Type.Unsafe<{ readonly machines: readonly MachineView[] }>(
  Type.Object({
    machines: Type.Array(
      Type.Object({
        escrow: Address20,
        offer: wireSchema("MachineOffer"),
        signature: Signature65,
        facts: MachineFacts,
        heardMs: Count,
        taken: Type.Boolean(),
      }),
      { maxItems: 256 },
    ),
  }),
);
export type MachineList = Static<typeof MachineList>;
/** Machines that a run's coordinator knows at a time. */
export const MAX_MACHINES = 256;
