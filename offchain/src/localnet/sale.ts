/** What a new run's model sells shares for, as the line asks for it. */
import { asAddress } from "@cotrain/sdk/protocol";
import { getAddress, isAddress, maxUint96 } from "viem";

import { type CapitalSettings, developmentChainIds } from "../../../deploy/deployment.ts";
import { UserError } from "../base/index.ts";
import { connect } from "../chain/index.ts";
import { type CapitalToken, requireToken, tokenAmount, tokenText, workOn } from "../run/index.ts";

/** A sale as ModelRegistry takes it, and the token that it is for. */
export interface Sale {
  readonly settings: CapitalSettings;
  readonly token: CapitalToken;
}

const invalid = (why: string): UserError => new UserError("CAPITAL_INVALID", `--capital ${why}`);

/**
 * A sale of "0xab…=0.01": the token, and what a share costs in it at the least, for ever and at first. An epoch has to bring in what
 * one share costs; holders vote on both.
 * @param word undefined: shares are sold for nothing
 * @param at the chain; of the embedded one there is nothing to say
 * @throws UserError `CAPITAL_INVALID`, `CAPITAL_TOKEN`, `CAPITAL_AMOUNT`; RetryableError of the chain
 */
export async function saleOf(
  word: string | undefined,
  { rpcUrl, chainId }: { readonly rpcUrl: string | undefined; readonly chainId: number | undefined },
): Promise<Sale | undefined> {
  if (word === undefined) return undefined;
  if (rpcUrl === undefined || chainId === undefined || developmentChainIds.includes(chainId))
    throw invalid(
      "is for chains whose tokens are worth something: on this one a model is paid in test dollars. Leave it out.",
    );
  const [address = "", price = "", ...rest] = word.split("=");
  if (rest.length > 0 || price === "")
    throw invalid("must be a token's address and what a share costs at the least, for ever, such as 0xab…=0.01.");
  if (!isAddress(address) || BigInt(address) === 0n)
    throw invalid(
      `has ${JSON.stringify(address.slice(0, 100))}, which is no address of a token, by its checksum: copy it again.`,
    );
  const token = await workOn(await connect({ rpcUrl, chainId }), (connection) =>
    requireToken({ connection }, asAddress(address)),
  );
  const floor = tokenAmount(price, token);
  if (floor > maxUint96) throw invalid(`has a price that no contract keeps: at most ${tokenText(maxUint96, token)}.`);
  return { settings: { token: asAddress(address), priceFloor: floor, price: floor, minimum: floor }, token };
}

/** What is told before it is so for ever. */
export const saleLine = ({ settings, token }: Sale): string =>
  `Shares will be sold for ${token.symbol} (${getAddress(token.address)}) alone, each for ${tokenText(settings.priceFloor, token)} at the least: neither token nor least price changes ever after.`;
