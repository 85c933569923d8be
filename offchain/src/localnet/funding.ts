/**
 * What a start costs on a chain whose coins are worth something: estimated and checked before anything is sent. The sum that a wallet
 * is asked for is kept until it is there, so that another price of gas asks nobody for another sum; unless it costs far less by now,
 * since one answer of an RPC may have named anything.
 */
import { rm } from "node:fs/promises";

import { Type } from "typebox";
import { type Address, formatEther } from "viem";

import { developmentChainIds, undeployedCode } from "../../../deploy/deployment.ts";
import { formatAddress, formatCoins, RetryableError, UserError } from "../base/index.ts";
import { type ChainConnection, connect } from "../chain/index.ts";
import { layout } from "../run/index.ts";
import { readStateFile, writeStateFile } from "../service/index.ts";

/**
 * Gas of a first start: the contracts (deploy/deployment.ts), the model, the run and the first checkpoint. A test holds it
 * against the compiled contracts and the table of gas.
 */
export const FIRST_START_GAS = 48_000_000n;
/** Of it, what comes after the contracts. */
export const REGISTRATION_GAS = 2_270_000n;
/** Gas of a session of a run that stands: a hundred checkpoints and a root. */
export const SESSION_GAS = 5_000_000n;
/** Above this, in wei, a start is confirmed by --yes. */
export const UNASKED_LIMIT = 10n ** 17n;

/** Prices rise between the estimate and the last transaction. */
const withHeadroom = (wei: bigint): bigint => (wei * 5n) / 4n;

export const estimateCost = (gasPrice: bigint, gas: bigint): bigint => withHeadroom(gasPrice * gas);

/** Gas that a first start spends which finds a part of the contracts there. @param missing bytes of code, as `whole` of all of it */
const leftToSpend = ({ missing, whole }: { readonly missing: number; readonly whole: number }): bigint =>
  REGISTRATION_GAS + ((FIRST_START_GAS - REGISTRATION_GAS) * BigInt(missing)) / BigInt(whole);

/**
 * Gas that a wallet is asked for before a first start: what that has yet to spend, and a session, so that its checkpoints do not
 * run dry and the next start asks for nothing. But no more than the sum for a whole first start has left by then, with headroom,
 * so that one that stopped halfway asks for nothing either; in that sum the headroom pays for the session.
 * @param left gas that it has yet to spend
 */
export function firstStartGas(left: bigint): bigint {
  const kept = (FIRST_START_GAS + 4n * left) / 5n;
  return left + SESSION_GAS < kept ? left + SESSION_GAS : kept;
}

/** At the price of now alone. */
const withoutHeadroom = (cost: bigint): bigint => (cost * 4n) / 5n;

export interface Payer {
  readonly address: Address;
  readonly chainId: number;
  readonly balance: bigint;
  /** Gas that it is to have the coins for. */
  readonly gas: bigint;
  /** What it will have to pay, wei. */
  readonly cost: bigint;
  /** What it was said to have to pay by an earlier start, wei; undefined where none did. */
  readonly named: bigint | undefined;
  /** Of a run that is registered already. */
  readonly started: boolean;
  /** --yes. */
  readonly confirmed: boolean;
}

/** So many times what a start costs now a sum that was named may be: the price of gas doubles and halves within a day. */
const MOST_TIMES = 4n;

/** What the wallet is asked to have: what was named before, as long as that is enough at the price of now, and not far too much. */
const askedFor = ({ cost, named }: Pick<Payer, "cost" | "named">): bigint =>
  named !== undefined && withoutHeadroom(cost) <= named && named <= cost * MOST_TIMES ? named : cost;

/** Whether it has too little. Where the price fell, less than was named will do. */
function isShort(payer: Pick<Payer, "balance" | "cost" | "named">): boolean {
  const asked = askedFor(payer);
  return payer.balance < (asked < payer.cost ? asked : payer.cost);
}

/** What a wallet lacks, in one sentence; where that is another sum than was named before, why. */
function lackText(payer: Payer, what: string): string {
  const { balance, cost, named } = payer;
  const asked = askedFor(payer);
  const rest = formatCoins(asked - balance);
  if (named === undefined || named === cost)
    return `${what} costs about ${formatCoins(cost)} at the present price of gas: send at least ${rest}`;
  if (asked === named) return `${what} costs about ${formatCoins(named)}, as was said before: send at least ${rest}`;
  if (cost < named)
    return `${what} costs about ${formatCoins(cost)} at the present price of gas, which has fallen since ${formatCoins(named)} was named: send at least ${rest}`;
  return `${what} costs about ${formatCoins(cost)} at the present price of gas, which has risen since ${formatCoins(named)} was named: send at least the missing ${rest}`;
}

function purposeOf({ started, gas }: Pick<Payer, "started" | "gas">): string {
  if (started) return "A session with a hundred checkpoints";
  if (gas < FIRST_START_GAS) return "What the first start has yet to do, with a session of a hundred checkpoints,";
  return "The first start, which deploys the contracts,";
}

/** @throws RetryableError `WALLET_UNFUNDED`; UserError `COST_UNCONFIRMED`. Nothing was sent then. */
export function requireAffordable(payer: Payer): void {
  const { address, chainId, balance, cost, confirmed } = payer;
  const what = purposeOf(payer);
  if (isShort(payer))
    throw new RetryableError(
      "WALLET_UNFUNDED",
      `The organiser's wallet ${formatAddress(address)} has ${balance === 0n ? "no coins" : `${formatEther(balance)} coins`} on chain ${chainId} to pay fees with. ${lackText(payer, what)}, then run the same command again.`,
    );
  if (cost > UNASKED_LIMIT && !confirmed)
    throw new UserError(
      "COST_UNCONFIRMED",
      `${what} costs about ${formatCoins(cost)} at the present price of gas on chain ${chainId}, paid by ${formatAddress(address)}: confirm with --yes to spend more than ${formatEther(UNASKED_LIMIT)}; nothing was sent.`,
    );
}

/** What a wallet was asked to have, wei, and for what. */
const NamedSum = Type.Object(
  {
    version: Type.Literal(1),
    chainId: Type.Integer({ minimum: 1 }),
    wallet: Type.String({ pattern: "^0x[0-9a-fA-F]{40}$" }),
    gas: Type.String({ pattern: "^[0-9]{1,78}$" }),
    wei: Type.String({ pattern: "^[0-9]{1,78}$" }),
  },
  { additionalProperties: false },
);

/** Which sum: of this wallet, on this chain, for what is left of a first start or for a session. */
type SumFor = Pick<Payer, "address" | "chainId" | "gas">;

async function readNamed(file: string, { address, chainId, gas }: SumFor): Promise<bigint | undefined> {
  const kept = await readStateFile(file, NamedSum, "delete it and run the same command again");
  if (kept?.wallet !== address || kept.chainId !== chainId || BigInt(kept.gas) !== gas) return undefined;
  return BigInt(kept.wei);
}

/** Whose start, and in which state. */
interface StartedBy extends Pick<Payer, "started" | "confirmed"> {
  /** The state's directory, with the wallets in it. */
  readonly state: string;
  /** Sees to it that the contracts are compiled: by their code it is known which of them stand. */
  readonly compile: () => Promise<void>;
}

/**
 * Gas that a first start wants, less what this account has deployed before. Whoever sent nothing yet, and so deployed nothing, is
 * told without waiting for the compiler.
 */
async function gasOfFirstStart(
  { call }: ChainConnection,
  account: Address,
  { development, compile }: { readonly development: boolean } & Pick<StartedBy, "compile">,
): Promise<bigint> {
  if ((await call((client) => client.getTransactionCount({ address: account }))) === 0) return FIRST_START_GAS;
  await compile();
  const profile = development ? "local" : "public";
  return firstStartGas(leftToSpend(await call((publicClient) => undeployedCode({ publicClient, account, profile }))));
}

/**
 * Where coins cost, the one account that pays must have what a start takes. What it is asked for is kept in the state until it is
 * there.
 * @throws as {@link requireAffordable}; UserError `STATE_CORRUPTED`; what the compiler and the look at the contracts throw
 */
export async function requireCoins(
  { url, chainId }: { readonly url: string; readonly chainId: number },
  address: Address,
  { state, started, confirmed, compile }: StartedBy,
): Promise<void> {
  const connection = await connect({ rpcUrl: url, chainId });
  const [balance, gasPrice] = await connection.call((client) =>
    Promise.all([client.getBalance({ address }), client.getGasPrice()]),
  );
  // On a development chain the wallet also gives the owners what their claims, votes and purchases cost.
  const development = developmentChainIds.includes(chainId);
  const gas = started ? SESSION_GAS : await gasOfFirstStart(connection, address, { development, compile });
  const cost = estimateCost(gasPrice, gas) * (development ? 8n : 1n);
  const file = layout(state).namedSum;
  const named = await readNamed(file, { address, chainId, gas });
  // Coins of a development chain are play money.
  const payer: Payer = { address, chainId, balance, gas, cost, named, started, confirmed: confirmed || development };
  if (isShort(payer)) {
    const wei = askedFor(payer).toString();
    await writeStateFile(file, NamedSum, { version: 1, chainId, wallet: address, gas: gas.toString(), wei });
  } else await rm(file, { force: true });
  requireAffordable(payer);
}
