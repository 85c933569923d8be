/** The file by which one rents community machines: whose coordinator lists them, where they are paid, and what tokens are worth. */
import { dirname, resolve } from "node:path";

import { type Address, asAddress, asRunId, type RunId } from "@cotrain/sdk/protocol";
import { type Static, Type } from "typebox";

import { UserError } from "../../base/index.ts";
import { readJsonBounded } from "../../base/node/index.ts";
import { findMiss } from "../../service/index.ts";
import { type MicroUsd, microUsdOf } from "../money.ts";

const MAX_BYTES = 64 << 10;
const closed = { additionalProperties: false } as const;
const Address20 = Type.String({ pattern: "^0x[0-9a-fA-F]{40}$" });
const Path = Type.String({ minLength: 1, maxLength: 400 });

const CommunityFile = Type.Object(
  {
    coordinator: Type.String({ pattern: "^https?://\\S{1,400}$" }),
    run: Type.Optional(Type.String({ pattern: "^0x[0-9a-f]{64}$" })),
    chainId: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    rpc: Type.String({ pattern: "^https?://\\S{1,400}$" }),
    escrow: Address20,
    tokens: Type.Array(
      Type.Object(
        {
          address: Address20,
          decimals: Type.Integer({ minimum: 0, maximum: 36 }),
          /** US dollars of a whole one, as a decimal. */
          usd: Type.String({ pattern: "^\\d{1,5}(\\.\\d{1,6})?$" }),
        },
        closed,
      ),
      { minItems: 1, maxItems: 16 },
    ),
    /** Seconds from the closing of a channel to the return of what is left of its deposit. */
    notice: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_592_000 })),
    wallet: Type.Optional(Path),
    passphrase: Type.Optional(Path),
  },
  closed,
);

/** What a renter takes a token for. */
export interface CommunityToken {
  readonly address: Address;
  readonly decimals: number;
  /** Of a whole one. */
  readonly microUsd: MicroUsd;
}

export interface Community {
  readonly coordinator: string;
  readonly run: RunId | undefined;
  readonly chainId: number;
  readonly rpc: string;
  readonly escrow: Address;
  readonly tokens: readonly CommunityToken[];
  readonly notice: number;
  /** The renter's; undefined where the file is for looking alone. */
  readonly keystore: { readonly keystore: string; readonly passphrase: string } | undefined;
}

/** What a machine can redeem in, where its daemon was away for a while. */
const NOTICE = 900;

/** @throws UserError `FILE_UNREADABLE`, `FILE_TOO_LARGE`, `JSON_INVALID`, `COMMUNITY_FILE` */
export async function readCommunity(path: string): Promise<Community> {
  const value = await readJsonBounded(path, MAX_BYTES);
  const refuse = (why: string): UserError => new UserError("COMMUNITY_FILE", `${path}: ${why}.`);
  const miss = findMiss(CommunityFile, value);
  if (miss !== undefined) throw refuse(miss);
  const { coordinator, run, chainId, rpc, escrow, tokens, notice, wallet, passphrase } = value as Static<
    typeof CommunityFile
  >;
  if ((wallet === undefined) !== (passphrase === undefined))
    throw refuse('"wallet" and "passphrase" belong together: name both or none');
  const beside = (name: string): string => resolve(dirname(path), name);
  return {
    coordinator,
    run: run === undefined ? undefined : asRunId(run),
    chainId,
    rpc,
    escrow: asAddress(escrow),
    tokens: tokens.map(({ address, decimals, usd }) => {
      const microUsd = microUsdOf(usd, "usd");
      if (microUsd === undefined || microUsd === 0n) throw refuse(`a token is worth more than nothing, not "${usd}"`);
      return { address: asAddress(address), decimals, microUsd };
    }),
    notice: notice ?? NOTICE,
    keystore:
      wallet === undefined || passphrase === undefined
        ? undefined
        : { keystore: beside(wallet), passphrase: beside(passphrase) },
  };
}
