/** Fields that documents and messages are made of. */
import { Type } from "typebox";

export const closed = { additionalProperties: false } as const;

export const Hash32 = Type.Unsafe<`0x${string}`>(Type.String({ pattern: "^0x[0-9a-f]{64}$" }));
export const Address20 = Type.Unsafe<`0x${string}`>(Type.String({ pattern: "^0x[0-9a-f]{40}$" }));
/** An address in an answer that people read: in the casing of EIP-55. {@link asAddress} of ids makes it one to compare. */
export const ShownAddress = Type.Unsafe<`0x${string}`>(Type.String({ pattern: "^0x[0-9a-fA-F]{40}$" }));
export const Signature65 = Type.Unsafe<`0x${string}`>(Type.String({ pattern: "^0x[0-9a-f]{130}$" }));
export const Decimal = Type.String({ pattern: "^(0|[1-9][0-9]{0,77})$" });
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const Uint32 = Type.Integer({ minimum: 0, maximum: 0xffff_ffff });
export const Uint16 = Type.Integer({ minimum: 0, maximum: 0xffff });
export const Uint8 = Type.Integer({ minimum: 0, maximum: 0xff });
export const Version1 = Type.Literal(1);
export const Name = Type.String({ minLength: 1, maxLength: 200 });
