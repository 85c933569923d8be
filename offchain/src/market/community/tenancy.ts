/**
 * What a community machine keeps of the lease that it has, in one file, and the renter's side of the same: all that either needs after a
 * crash. A voucher is kept before it counts, and a lease before anything is said of it.
 */
import { join } from "node:path";

import {
  Hash32,
  type Hex,
  type LeaseTerms,
  LeaseTermsWire,
  MAX_PASSES,
  type RenterWord,
  SignedPass,
  Signature65,
  wireSchema,
  type WireStruct,
} from "@cotrain/sdk/protocol";
import { type Static, type TSchema, Type } from "typebox";

import { UserError } from "../../base/index.ts";
import { readJsonBounded, writeFileDurable } from "../../base/node/index.ts";
import { findMiss } from "../../service/index.ts";

/** 32 passes, and what stands beside them. */
const MAX_BYTES = 128 << 10;
const closed = { additionalProperties: false } as const;
const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Ms = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

type Voucher = NonNullable<RenterWord["voucher"]>;
const KeptVoucher = Type.Unsafe<Voucher>(
  Type.Object({ voucher: wireSchema("Voucher"), signature: Signature65 }, closed),
);
interface Asked {
  readonly offer: WireStruct<"LeaseOffer">;
  readonly signature: Hex;
}
const KeptAsked = Type.Unsafe<Asked>(Type.Object({ offer: wireSchema("LeaseOffer"), signature: Signature65 }, closed));

/** A machine's lease. */
export interface Tenancy {
  readonly leaseId: Hex;
  readonly terms: LeaseTerms;
  readonly asked: Asked;
  readonly accept: { readonly accept: WireStruct<"LeaseAccept">; readonly signature: Hex };
  readonly state: "accepted" | "working" | "over";
  readonly passes: readonly SignedPass[];
  /** The highest. */
  readonly voucher: Voucher | null;
  /** Ms of the whole machine in which its workers were members. */
  readonly workedMs: number;
  /** When it began to work, ms since 1970. */
  readonly since: number | null;
  /** What was redeemed, in the token's smallest units. */
  readonly redeemed: string;
  /** Why it is over. */
  readonly words: string;
}
export const Tenancy = Type.Unsafe<Tenancy>(
  Type.Object(
    {
      leaseId: Hash32,
      terms: LeaseTermsWire,
      asked: KeptAsked,
      accept: Type.Unsafe<Tenancy["accept"]>(
        Type.Object({ accept: wireSchema("LeaseAccept"), signature: Signature65 }, closed),
      ),
      state: Type.Union([Type.Literal("accepted"), Type.Literal("working"), Type.Literal("over")]),
      passes: Type.Array(SignedPass, { maxItems: MAX_PASSES }),
      voucher: Nullable(KeptVoucher),
      workedMs: Ms,
      since: Nullable(Ms),
      redeemed: Type.String({ pattern: "^\\d{1,40}$" }),
      words: Type.String({ maxLength: 200 }),
    },
    closed,
  ),
);

/** A lease as its renter keeps it. */
export const Rented = Type.Object(
  {
    label: Type.String({ minLength: 1, maxLength: 60 }),
    leaseId: Hash32,
    /** Hash of what the machine is offered for. */
    offer: Hash32,
    pricePerSecond: Type.String({ pattern: "^\\d{1,30}$" }),
    /** µUSD of the machine for an hour. */
    perHour: Type.String({ pattern: "^\\d{1,15}$" }),
    terms: LeaseTermsWire,
    asked: KeptAsked,
    passes: Type.Array(SignedPass, { minItems: 1, maxItems: MAX_PASSES }),
    /** `opening`: a deposit may be on its way; `ending`: nothing more is paid; `over`: nothing of it is left in the escrow. */
    state: Type.Union([
      Type.Literal("asked"),
      Type.Literal("opening"),
      Type.Literal("open"),
      Type.Literal("ending"),
      Type.Literal("over"),
    ]),
    /** Of its channel: `sent` may still come, `there` was found. */
    channel: Type.Union([Type.Literal("none"), Type.Literal("sent"), Type.Literal("there")]),
    voucher: Nullable(KeptVoucher),
    /** Ms of the whole machine that were paid. */
    paidMs: Ms,
    /** When one of its workers was last seen alive, ms since 1970. */
    aliveAt: Nullable(Ms),
    /** How many of them were, then. */
    alive: Type.Integer({ minimum: 0, maximum: MAX_PASSES }),
    createdAt: Ms,
    /** What became of it, for people. */
    words: Type.String({ maxLength: 200 }),
  },
  closed,
);
export type Rented = Static<typeof Rented>;

/** A file that holds one thing of a form. */
export interface Kept<T> {
  /** Undefined where there is none. @throws UserError `STATE_CORRUPTED` */
  read(): Promise<T | undefined>;
  /** Durable when it resolves. */
  write(value: T): Promise<void>;
}

export function keptIn<T>(directory: string, name: string, form: TSchema): Kept<T> {
  const file = join(directory, `${name}.json`);
  return {
    read: async () => {
      const value = await readJsonBounded(file, MAX_BYTES).catch((error: unknown) => {
        if (error instanceof UserError && error.code === "FILE_UNREADABLE") return undefined;
        throw error;
      });
      if (value === undefined) return undefined;
      const miss = findMiss(form, value);
      if (miss !== undefined) throw new UserError("STATE_CORRUPTED", `${file}: ${miss}.`);
      return value as T;
    },
    write: (value) => writeFileDurable(file, JSON.stringify(value), { mode: 0o600 }),
  };
}
