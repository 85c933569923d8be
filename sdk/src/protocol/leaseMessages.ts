/** Messages about rented machines: the passes by which they join, what they report, and what became of their leases. */
import { type Static, Type } from "typebox";
import { closed, Count, Hash32, ShownAddress, Signature65 } from "./fields.ts";
import { wireSchema, type WireStruct } from "./typedData.ts";

const Nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()]);

/** What a {@link MachineReport} stays within. */
export const reportBounds = {
  devices: 32,
  /** Characters of a device's name, and of why it cannot train. */
  name: 64,
  words: 1_000,
} as const;

/** A pass, and the renter's signature. */
export interface SignedPass {
  readonly pass: WireStruct<"JoinPass">;
  readonly signature: `0x${string}`;
}
export const SignedPass = Type.Unsafe<SignedPass>(
  Type.Object({ pass: wireSchema("JoinPass"), signature: Signature65 }, closed),
);

/** Carries a pass as one word, where the request has no body. */
export const passHeader = "cotrain-pass";

/** What a rented machine says of its devices before it works. */
export const MachineReport = Type.Object(
  {
    devices: Type.Array(
      Type.Object(
        {
          name: Type.String({ maxLength: reportBounds.name }),
          /** Null where it cannot train. */
          tokensPerSecond: Nullable(Count),
          /** Why it cannot. */
          missing: Nullable(Type.String({ maxLength: reportBounds.words })),
        },
        closed,
      ),
      { maxItems: reportBounds.devices },
    ),
  },
  closed,
);
export type MachineReport = Static<typeof MachineReport>;

/** Looks at the lease of a pass; what else it names is done first. */
export interface LeaseRequest {
  readonly pass: SignedPass;
  readonly report?: MachineReport;
  readonly end?: true;
}
export const LeaseRequest = Type.Unsafe<LeaseRequest>(
  Type.Object(
    {
      pass: SignedPass,
      report: Type.Optional(MachineReport),
      /** No key joins by it any more; the member that did is let go once its work is in. */
      end: Type.Optional(Type.Literal(true)),
    },
    closed,
  ),
);

/** Of something that was seen to go on. */
const Rate = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

export const LeaseView = Type.Object({
  lease: Hash32,
  /** The key that joined by it. */
  worker: Nullable(ShownAddress),
  /** Whether that is a member now. */
  member: Type.Boolean(),
  ended: Type.Boolean(),
  /** Ms since the member was last heard of. */
  heardMs: Nullable(Count),
  /**
   * Whether the member has work of the open round, whose time is not over, and has missed none since its last accepted receipt. Absent
   * from coordinators of before.
   */
  working: Type.Optional(Type.Boolean()),
  report: Nullable(MachineReport),
  /** What its work and its transfers here came to; null before its first receipt, and of a model that the engine does not know. */
  measured: Nullable(
    Type.Object({
      /** FLOP a second of its training, transfers left out. */
      flops: Rate,
      /** Bytes a second from it, and to it; null where too little went. */
      up: Nullable(Rate),
      down: Nullable(Rate),
    }),
  ),
  /** The coordinator's own software, which a machine of a lease may fetch; null where it serves none. */
  software: Nullable(Type.Object({ digest: Hash32, bytes: Count })),
});
export type LeaseView = Static<typeof LeaseView>;
