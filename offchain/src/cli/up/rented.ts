/** The summary's part about workers that were rented for the session: which machines, what they cost, and that none is left. */
import { type Static, Type } from "typebox";

import { countOf, formatUsd } from "../../base/index.ts";
import type { RentedReport } from "../../localnet/index.ts";
import { type Output, table } from "../output.ts";
import { indent, Nullable, Text, Whole } from "./fields.ts";

/** Money of leases is in µUSD, as a decimal; it is make-believe. */
const Shown = Type.Object({
  machines: Type.Array(
    Type.Object({
      label: Text,
      machine: Text,
      state: Text,
      perHour: Text,
      cost: Text,
      /** What the provider says it charged; null where it has not told. */
      billed: Nullable(Text),
      why: Nullable(Text),
    }),
  ),
  cost: Text,
  /** By the provider's own meter, in US dollars; null where it did not answer. */
  meter: Nullable(Text),
  /** Machines that are there still, by the ledger and by the provider. */
  left: Type.Object({ ledger: Whole, provider: Nullable(Whole) }),
});

/** Left out where nothing was rented. */
export const Rented = Type.Object({ rented: Type.Optional(Shown) });
export type Rented = Static<typeof Rented>;

export function rentedIn(report: RentedReport | undefined): Rented {
  if (report === undefined) return {};
  const { machines, meter } = report;
  return {
    rented: {
      machines: machines.map(({ perHour, cost, billed, ...rest }) => ({
        ...rest,
        perHour: perHour.toString(),
        cost: cost.toString(),
        billed: billed?.toString() ?? null,
      })),
      cost: machines.reduce((sum, { cost }) => sum + cost, 0n).toString(),
      meter: meter?.usd ?? null,
      left: { ledger: machines.filter(({ state }) => state !== "gone").length, provider: meter?.left ?? null },
    },
  };
}

/** @param heading draws the part's name */
export function rentedBlock({ rented }: Rented, heading: (text: string) => string, paint: Output["paint"]): string[] {
  if (!rented) return [];
  const { machines, cost, meter, left } = rented;
  const rows = machines.map(({ label, machine, state, perHour, billed, cost: counted }) => [
    label,
    machine,
    state,
    formatUsd(BigInt(perHour)),
    formatUsd(BigInt(billed ?? counted)),
  ]);
  const lines = table([["lease", "machine", "", "USD/h", "USD"], ...rows], [3, 4]);
  const isGone = left.ledger === 0 && left.provider === 0;
  return [
    heading("What was rented (--market demo)"),
    ...indent([
      ...lines.map((line, index) => (index === 0 ? paint("dim", line) : line)),
      `${formatUsd(BigInt(cost))} make-believe USD by the ledger, ${meter ?? "nothing known"} by the fake provider's own meter`,
      isGone
        ? "no machine is left"
        : `${countOf(left.provider ?? left.ledger, "machine")} may be left: they end with this process`,
    ]),
    "",
  ];
}
