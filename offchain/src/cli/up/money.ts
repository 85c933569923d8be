/** The summary's parts about money that is no share of the model: what is at stake, and what revenue was shared among whom. */
import { type Static, Type } from "typebox";
import { formatEther, formatUnits } from "viem";

import { formatPercent, shortAddress, wrap } from "../../base/index.ts";
import { type Output, table } from "../output.ts";
import { indent, inTransaction, Nullable, ROOM, Text, Whole } from "./fields.ts";

export const Money = Type.Object({
  /** What this machine's first worker has at stake, and what of it is leaving, in wei of the chain's coin. */
  stake: Nullable(Type.Object({ name: Text, account: Text, active: Text, leaving: Text, transaction: Text })),
  /** Why nothing was put at stake, where nothing was. */
  noStake: Nullable(Text),
  /**
   * The model's revenue, in the token's smallest units: what ever arrived, and what of it active roots share, which `parts` add up to.
   * Those are of this machine's wallets, of the treasury, and of all `others` together, of whom it is not known what they claimed.
   */
  revenue: Nullable(
    Type.Object({
      token: Text,
      symbol: Text,
      decimals: Whole,
      arrived: Text,
      setAside: Text,
      /** What this machine's customer paid. */
      payment: Nullable(Type.Object({ payer: Text, amount: Text, epoch: Whole, transaction: Text })),
      parts: Type.Array(Type.Object({ name: Text, account: Nullable(Text), amount: Text, claimed: Nullable(Text) })),
    }),
  ),
  /** Why no revenue was paid, where none was. */
  noRevenue: Nullable(Text),
});
export type Money = Static<typeof Money>;

export function stakeLines({ stake, noStake }: Money): string[] {
  if (!stake) return indent(wrap(`nothing: ${noStake}`, ROOM));
  const { name, account, active, leaving, transaction } = stake;
  const away = leaving === "0" ? "" : `, and ${formatEther(BigInt(leaving))} are leaving`;
  return indent([
    `${name} ${shortAddress(account)} has ${formatEther(BigInt(active))} coins at stake as a worker${away}`,
    ...inTransaction("first put up", transaction),
  ]);
}

type Part = NonNullable<Money["revenue"]>["parts"][number];

const claimText = ({ amount, claimed }: Part): string => {
  if (claimed === null) return "";
  return claimed === amount ? "claimed" : "to be claimed";
};

/** Who gets what of the revenue: all of the token's, none of it shares. */
export function revenueLines({ revenue, noRevenue }: Money, paint: Output["paint"]): string[] {
  if (!revenue) return indent(wrap(`nothing: ${noRevenue}`, ROOM));
  const { symbol, decimals, payment, parts } = revenue;
  const [arrived, setAside] = [BigInt(revenue.arrived), BigInt(revenue.setAside)];
  const plain = (amount: bigint): string => formatUnits(amount, decimals);
  const rows = parts.map((part) => [
    part.name,
    part.account === null ? "" : shortAddress(part.account),
    plain(BigInt(part.amount)),
    formatPercent(BigInt(part.amount), setAside),
    claimText(part),
  ]);
  const lines = table([["who", "", `gets (${symbol})`, "of all", ""], ...rows], [2, 3]);
  const paid = payment ? BigInt(payment.amount) : 0n;
  return indent([
    ...(payment
      ? inTransaction(`${payment.payer} paid ${plain(paid)} ${symbol} in epoch ${payment.epoch},`, payment.transaction)
      : []),
    ...(arrived > paid ? [`others paid ${plain(arrived - paid)} ${symbol}`] : []),
    ...(rows.length === 0 ? [] : lines.map((line, index) => (index === 0 ? paint("dim", line) : line))),
    ...(arrived > setAside ? [`${plain(arrived - setAside)} ${symbol} are still to be shared`] : []),
  ]);
}
