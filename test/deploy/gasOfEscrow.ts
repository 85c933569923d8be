/** What a rented machine's channel costs: rows of gas.test.ts. */
import { leaseOfTerms, type LeaseTerms, signVoucher } from "@cotrain/sdk/protocol";
import { type Address, type Hex, keccak256, stringToHex } from "viem";
import type { LocalAccount } from "viem/accounts";

import type { ContractName } from "../../deploy/deployment.ts";

interface Receipt {
  readonly gasUsed: bigint;
}

interface Measuring {
  readonly escrow: Address;
  /** Anybody mints it. */
  readonly token: Address;
  readonly accounts: readonly LocalAccount[];
  readonly send: (
    from: number,
    to: Address,
    name: ContractName,
    functionName: string,
    args: readonly unknown[],
  ) => Promise<Receipt>;
  readonly row: (name: string, receipt: Receipt) => void;
  readonly now: () => Promise<bigint>;
  readonly at: (time: bigint) => Promise<unknown>;
}

const dollar = 1_000_000n;
const renter = 3;
const provider = 4;
const signer = 5;

export async function measureEscrow({ escrow, token, accounts, send, row, now, at }: Measuring): Promise<void> {
  const addressOf = (index: number): Address => accounts[index]!.address;
  const terms: LeaseTerms = {
    renter: addressOf(renter),
    provider: addressOf(provider),
    machine: addressOf(6),
    signer: addressOf(signer),
    token,
    notice: 600,
    salt: keccak256(stringToHex("lease")),
  };
  const place = { chainId: 31_337, escrow };
  const leaseId = leaseOfTerms(place, terms);
  const call = (from: number, functionName: string, ...args: readonly unknown[]) =>
    send(from, escrow, "ComputeEscrow", functionName, [terms, ...args]);
  const redeem = async (cumulative: bigint): Promise<Receipt> => {
    const through = 1_800_000_000n;
    const signature: Hex = await signVoucher(accounts[signer]!, place, { leaseId, cumulative, through });
    return call(provider, "redeem", cumulative, through, signature);
  };

  await send(renter, token, "TestDollar", "mint", [terms.renter, 100n * dollar]);
  await send(renter, token, "TestDollar", "approve", [escrow, 2n ** 256n - 1n]);
  row("open a channel", await call(renter, "open", 50n * dollar));
  row("top up a channel", await call(renter, "topUp", 10n * dollar));
  row("redeem a voucher, first", await redeem(dollar));
  row("redeem a voucher, later", await redeem(2n * dollar));
  row("redeem a voucher, no higher", await redeem(2n * dollar));
  row("close a channel", await call(renter, "close"));
  await at((await now()) + BigInt(terms.notice));
  row("withdraw what no voucher took", await call(renter, "withdraw"));
}
