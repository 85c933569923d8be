/**
 * Passes, by which a machine that somebody rented joins a run: its renter signs whom one of its keys works for, and until when. The hash
 * of a pass is the `lease` of the join that shows it. On its way to the machine a pass is one word, of which nothing is secret for long:
 * it serves the first key that shows it, and pays nobody but the beneficiary that it names.
 */
import { type Address, type Hex, keccak256, stringToBytes } from "viem";

import { ProtocolError } from "../baseErrors.ts";
import { parseDocument } from "./documents.ts";
import type { RunId } from "./ids.ts";
import { SignedPass } from "./messages.ts";
import {
  type Domain,
  fromWire,
  type JoinPass,
  type SigningAccount,
  structHash,
  toWire,
  typedDataOf,
} from "./typedData.ts";

/** Characters of a pass as a word, at most; one takes some 700. */
export const MAX_PASS_TEXT = 2_048;

/** The `lease` of a join by this pass. */
export const leaseOfPass = ({ pass }: SignedPass): Hex => structHash("JoinPass", fromWire("JoinPass", pass));

/** What a pass calls a machine: a hash of the label that its renter gave it. */
export const machineOf = (label: string): Hex => keccak256(stringToBytes(label));

export interface PassTerms {
  readonly runId: RunId;
  /** Of the machine, which no other of this renter ever has. */
  readonly label: string;
  /** Which of the machine's keys, from 0. */
  readonly index: number;
  readonly beneficiary: Address;
  /** Ms since 1970. */
  readonly notAfter: number;
}

/** Signs a pass. @param domain that of joins: the run's chain and its RunRegistry */
export async function signPass(
  renter: SigningAccount,
  domain: Domain,
  { runId, label, index, beneficiary, notAfter }: PassTerms,
): Promise<SignedPass> {
  const pass: JoinPass = {
    runId,
    renter: renter.address,
    machine: machineOf(label),
    index,
    beneficiary,
    notAfter: BigInt(notAfter),
  };
  const signature = await renter.signTypedData(typedDataOf(domain, "JoinPass", pass));
  return { pass: toWire("JoinPass", pass), signature: signature.toLowerCase() as Hex };
}

/** A pass as one word of base64url. */
export const passText = ({ pass, signature }: SignedPass): string =>
  btoa(JSON.stringify({ pass, signature })).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const malformed = (cause?: unknown): ProtocolError =>
  new ProtocolError("MALFORMED_PASS", "What is shown as a pass is none.", { cause });

/** What {@link passText} made. @throws ProtocolError MALFORMED_PASS */
export function parsePass(text: string): SignedPass {
  if (text.length > MAX_PASS_TEXT || !/^[A-Za-z0-9_-]+$/.test(text)) throw malformed();
  try {
    return parseDocument("The pass", SignedPass, JSON.parse(atob(text.replaceAll("-", "+").replaceAll("_", "/"))));
  } catch (cause) {
    throw malformed(cause);
  }
}
