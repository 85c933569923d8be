/**
 * Labels of rented machines: whose a machine is stands in its name at the provider, since accounts are shared and a ledger can be
 * lost. `ct-<installation>-<lease>-<attempt>`, the first two of eight hexadecimal digits.
 */
import { UserError } from "../../base/index.ts";

export interface Label {
  readonly installation: string;
  readonly lease: string;
  /** Of the lease, from 1. */
  readonly attempt: number;
}

const FORM = /^ct-([0-9a-f]{8})-([0-9a-f]{8})-([1-9]\d{0,8})$/;

/**
 * @internal leases name their machines by it
 * @throws UserError `LABEL` for parts of another form
 */
export function labelOf({ installation, lease, attempt }: Label): string {
  const label = `ct-${installation}-${lease}-${attempt}`;
  if (!FORM.test(label))
    throw new UserError(
      "LABEL",
      "A label has eight hexadecimal digits of an installation and of a lease, and an attempt.",
    );
  return label;
}

/** What a machine's name says; undefined for a name that is none of ours. */
export function parseLabel(name: string | undefined): Label | undefined {
  const [, installation, lease, attempt] = FORM.exec(name ?? "") ?? [];
  return installation === undefined || lease === undefined
    ? undefined
    : { installation, lease, attempt: Number(attempt) };
}

/** What is made beside machines is called after the installation: its key for SSH. */
export const sideNameOf = (installation: string): string => `ct-${installation}-key`;
