/** A deposit in a model's sale: what it needs before, and the epoch that it meets, which may be over when it is sent. */
import { allowCapital, depositCapital, depositCapitalWithPermit, epochOf } from "@cotrain/sdk/actions";
import { CapitalSaleOtherEpochError, TransactionRevertedError } from "@cotrain/sdk/errors";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi, parseAbi } from "viem";
import { sendTransaction } from "viem/actions";

import { formatAddress, UserError } from "../base/index.ts";
import {
  allowanceOf,
  changeAllowance,
  type ChainConnection,
  DEVELOPMENT_CHAIN_ID,
  saysReverted,
  type WalletClient,
} from "../chain/index.ts";
import {
  type CapitalPlace,
  type CapitalSale,
  type CapitalToken,
  presentSale,
  type SoldEpoch,
  tokenText,
} from "./capital.ts";
import { permitFor, type SignedPermit } from "./permits.ts";

/** Where shares are bought. */
export interface BuyingPlace extends CapitalPlace {
  readonly connection: Pick<ChainConnection, "call" | "chainId">;
}

/** Times that a deposit begins anew because its epoch is over: those of local chains last for seconds. */
const MOST_EPOCHS_MET = 4;

const mintAbi = parseAbi(["function mint(address to, uint256 amount)"]);

/** Test dollars are play money as fees are on a local chain: whoever pays with them makes them first. */
async function mint({ connection }: BuyingPlace, client: WalletClient, token: CapitalToken, amount: bigint) {
  const data = encodeFunctionData({ abi: mintAbi, functionName: "mint", args: [client.account.address, amount] });
  const call = { account: client.account.address, to: token.address, data };
  // Another token makes none for everybody: a deposit says then what is lacking.
  const makes = await connection.call((chain) =>
    chain.call(call).then(
      () => true,
      (error: unknown) => {
        if (saysReverted(error)) return false;
        throw error;
      },
    ),
  );
  if (!makes) return;
  const hash = await sendTransaction(client, { chain: null, account: client.account, to: token.address, data });
  await connection.call((chain) => chain.waitForTransactionReceipt({ hash }));
}

type Sale = Pick<CapitalSale, "sale" | "token">;

/**
 * Sees to it that the payer has the amount.
 * @param playMoney whether the payer makes what it lacks; on Cotrain's own local chain if not said
 * @throws UserError `CAPITAL_FUNDS`
 */
async function requireFunds(
  place: BuyingPlace,
  client: WalletClient,
  { token }: Sale,
  amount: bigint,
  playMoney = place.connection.chainId === DEVELOPMENT_CHAIN_ID,
): Promise<void> {
  const owner = client.account.address;
  const at = { address: token.address, abi: erc20Abi } as const;
  const balanceOf = () =>
    place.connection.call((chain) => chain.readContract({ ...at, functionName: "balanceOf", args: [owner] }));
  const before = await balanceOf();
  if (before < amount && playMoney) await mint(place, client, token, amount - before);
  const balance = await balanceOf();
  if (balance < amount)
    throw new UserError(
      "CAPITAL_FUNDS",
      `${formatAddress(owner)} has ${tokenText(balance, token)}, and ${tokenText(amount, token)} are to be deposited: send it the rest.`,
    );
}

/** What the sale may take of the payer. */
const allowedOf = ({ connection }: BuyingPlace, client: WalletClient, { sale, token }: Sale): Promise<bigint> =>
  allowanceOf(connection, { token: token.address, owner: client.account.address, spender: sale });

/**
 * Sees to it that the payer has the amount and that the sale, or what else `sale` names, may take it.
 * @throws as {@link requireFunds}
 */
export async function prepareDeposit(
  place: BuyingPlace,
  client: WalletClient,
  at: Sale,
  amount: bigint,
  playMoney?: boolean,
): Promise<void> {
  await requireFunds(place, client, at, amount, playMoney);
  const allowed = await allowedOf(place, client, at);
  if (allowed >= amount) return;
  const allow = { token: at.token.address, sale: at.sale };
  await changeAllowance(allowed, amount, (most) => allowCapital.sync(client, { ...allow, amount: most }));
}

/**
 * Like {@link prepareDeposit}, by a permit where the token takes one.
 * @returns the permit; undefined where the sale may take the amount without
 * @throws as {@link requireFunds}
 */
export async function permitDeposit(
  place: BuyingPlace,
  client: WalletClient,
  at: Sale,
  amount: bigint,
): Promise<SignedPermit | undefined> {
  await requireFunds(place, client, at, amount);
  if ((await allowedOf(place, client, at)) >= amount) return undefined;
  const asked = { token: asAddress(at.token.address), spender: asAddress(at.sale), amount };
  const permit = await permitFor(place.connection, client, asked);
  if (!permit) await prepareDeposit(place, client, at, amount);
  return permit;
}

/** @throws UserError `CAPITAL_LATE` where a deposit reverted since its epoch was over when it was mined */
async function requireInTime(
  { connection, addresses, modelId }: BuyingPlace,
  epoch: bigint,
  { details }: TransactionRevertedError,
): Promise<void> {
  const hash = details?.["transaction"] as Hex;
  const { blockNumber } = await connection.call((client) => client.getTransactionReceipt({ hash }));
  const block = await connection.call((client) => client.getBlock({ blockNumber }));
  const timestamp = Number(block.timestamp);
  const mined = await connection.call((client) => epochOf(client, { addresses, modelId, timestamp }));
  if (mined !== epoch)
    throw new UserError(
      "CAPITAL_LATE",
      `Nothing was deposited: transaction ${hash} was mined in epoch ${mined}, when epoch ${epoch} was over; deposit anew.`,
    );
}

/**
 * Deposits in the present epoch, or in the next one where that began meanwhile.
 * @param deposit.amount the token's smallest units, which the sale may take ({@link prepareDeposit})
 * @param deposit.permit by which it may, if not without ({@link permitDeposit})
 * @param accept throws where the epoch does not sell as the payer wants it; nothing is sent then
 * @throws what `accept` does; UserError `CAPITAL_LATE`; CapitalSaleOtherEpochError where one epoch after the other was over
 */
export async function depositInPresent(
  place: BuyingPlace,
  client: WalletClient,
  {
    beneficiary,
    amount,
    permit,
  }: { readonly beneficiary: Address; readonly amount: bigint; readonly permit?: SignedPermit | undefined },
  accept: (found: SoldEpoch, capital: CapitalSale) => void,
) {
  const { modelId } = place;
  for (let met = 1; ; met++) {
    const { capital, found } = await presentSale(place, []);
    accept(found, capital);
    const deposit = { sale: capital.sale, modelId, epoch: found.epoch, beneficiary, amount };
    try {
      if (permit) {
        await depositCapitalWithPermit.simulate(client, { ...deposit, permit });
        return await depositCapitalWithPermit.sync(client, { ...deposit, permit });
      }
      await depositCapital.simulate(client, deposit);
      return await depositCapital.sync(client, deposit);
    } catch (error) {
      if (error instanceof TransactionRevertedError) await requireInTime(place, found.epoch, error);
      if (!(error instanceof CapitalSaleOtherEpochError) || met === MOST_EPOCHS_MET) throw error;
    }
  }
}
