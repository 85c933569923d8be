/** Who signs for a model: its sets of validators and of maintainers, as ValidatorSet has them, and what the next one may be. */
import {
  currentMaintainers,
  currentSetVersion,
  maintainersOf,
  newestMaintainers,
  newestSetVersion,
  setOf,
} from "@cotrain/sdk/actions";
import { type Address, asAddress, type ContractAddresses, type ModelId } from "@cotrain/sdk/protocol";

import { countOf, UserError } from "../base/index.ts";
import type { ChainConnection } from "../chain/index.ts";

/** The two roles: where the sets of each are found. */
export const signerRoles = {
  validators: { inForce: currentSetVersion, newest: newestSetVersion, of: setOf },
  maintainers: {
    inForce: currentMaintainers,
    newest: newestMaintainers,
    of: async (...args: Parameters<typeof maintainersOf>) => {
      const { maintainers, ...rest } = await maintainersOf(...args);
      return { validators: maintainers, ...rest };
    },
  },
} as const;

export type SignerRole = keyof typeof signerRoles;

/** Where a model's signers are looked for. */
export interface SignersPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: ContractAddresses;
  readonly modelId: ModelId;
}

/** A set of signers. */
export interface SignerSet {
  readonly version: number;
  /** Ascending. */
  readonly members: readonly Address[];
  /** Signatures needed. */
  readonly threshold: number;
  /** From when on it counts, chain seconds. */
  readonly effectiveAt: number;
}

/** A model's signers of one role: the set that counts now, if there is any, and those that were chosen after it, oldest first. */
export interface Signers {
  readonly inForce: SignerSet | undefined;
  readonly coming: readonly SignerSet[];
}

/** Sets to come that are read: one is chosen an epoch at the most, and its wait is the model's window. */
const MOST_COMING = 64;

/** @throws UserError `SIGNERS_BEYOND` where the chain tells of more sets to come than there can sensibly be */
export async function signersOf({ connection, addresses, modelId }: SignersPlace, role: SignerRole): Promise<Signers> {
  const { inForce, newest, of } = signerRoles[role];
  const read = async (version: number): Promise<SignerSet> => {
    const found = await connection.call((client) => of(client, { addresses, modelId, version }));
    const { validators, threshold, effectiveAt } = found;
    return { version, members: validators.map(asAddress), threshold, effectiveAt };
  };
  // In this order: a set that comes into force meanwhile is shown as one that is to come.
  const current = await connection.call((client) => inForce(client, { addresses, modelId }));
  const last = await connection.call((client) => newest(client, { addresses, modelId }));
  if (last - current > MOST_COMING)
    throw new UserError(
      "SIGNERS_BEYOND",
      `The node says that ${last - current} sets of ${role} are to come, and ${MOST_COMING} at most are read: ask another node.`,
    );
  const coming: SignerSet[] = [];
  for (let version = current + 1; version <= last; version += 1) coming.push(await read(version));
  return { inForce: current === 0 ? undefined : await read(current), coming };
}

/** Members that a set may have (ValidatorSet.sol). */
export const MOST_SIGNERS = 64;

/** The fewest signatures that a set of this size may ask for: two thirds (ValidatorSet.sol). */
const leastThreshold = (size: number): number => Math.ceil((2 * size) / 3);

/** What somebody wants of a set. */
export interface SignersChange {
  readonly add: readonly Address[];
  readonly remove: readonly Address[];
  /** If left out as before, where the new set may have that, else as near to it as it may. */
  readonly threshold?: number | undefined;
}

/** A set that is chosen next. */
export interface NextSigners extends Pick<SignerSet, "members" | "threshold"> {
  /** The newest set, on which it is made; 0 where there is none. */
  readonly replaces: number;
  readonly come: readonly Address[];
  readonly gone: readonly Address[];
}

/** Addresses in lower case ascend as the contract has them. */
const ascending = (members: readonly Address[]): Address[] => [...members].sort((a, b) => (a < b ? -1 : 1));

/** Named once each. @throws UserError `SIGNER_TWICE` */
function requireOnce(named: readonly Address[]): void {
  const twice = named.find((each, i) => named.indexOf(each) !== i);
  if (twice !== undefined) throw new UserError("SIGNER_TWICE", `${twice} is named twice: name it once.`);
}

/** @throws UserError `SIGNER_TWICE`, `SIGNER_THERE`, `SIGNER_ABSENT` */
function requireSensible(role: SignerRole, before: readonly Address[], { add, remove }: SignersChange): void {
  requireOnce([...add, ...remove]);
  const there = add.find((each) => before.includes(each));
  if (there !== undefined)
    throw new UserError("SIGNER_THERE", `${there} is in the newest set of ${role} already: add somebody else.`);
  const absent = remove.find((each) => !before.includes(each));
  if (absent !== undefined)
    throw new UserError(
      "SIGNER_ABSENT",
      `${absent} is not in the newest set of ${role}: "npx cotrain ${role} show" shows who is.`,
    );
}

/** The contract's rules of a set. @throws UserError `SIGNERS_SIZE`, `SIGNERS_THRESHOLD`, `SIGNERS_MANY` */
function requireAllowed(role: SignerRole, before: number, { members, threshold, come, gone }: NextSigners): void {
  const size = members.length;
  const one = role.slice(0, -1);
  if (size === 0 || size > MOST_SIGNERS)
    throw new UserError(
      "SIGNERS_SIZE",
      `A set has 1 to ${MOST_SIGNERS} ${role}, and this would have ${size === 0 ? "none: add some with --add" : size}.`,
    );
  const least = leastThreshold(size);
  if (threshold < least || threshold > size)
    throw new UserError(
      "SIGNERS_THRESHOLD",
      `Of ${countOf(size, one)} ${least === size ? `all ${size}` : `${least} to ${size}`} must sign, at least two thirds: --threshold ${threshold} is not allowed.`,
    );
  const changes = Math.max(come.length, gone.length);
  const allowed = Math.max(1, Math.floor(before / 3));
  if (before > 0 && changes > allowed)
    throw new UserError(
      "SIGNERS_MANY",
      `Of ${countOf(before, one)} ${allowed} may change at once, a third, and this changes ${changes}: propose the others in a later epoch.`,
    );
}

/**
 * The set that a change makes of the newest one.
 * @throws UserError `SIGNER_TWICE`, `SIGNER_THERE`, `SIGNER_ABSENT`, `SIGNERS_SIZE`, `SIGNERS_THRESHOLD`, `SIGNERS_MANY`
 */
export function nextSigners(role: SignerRole, newest: SignerSet | undefined, change: SignersChange): NextSigners {
  const before = newest?.members ?? [];
  requireSensible(role, before, change);
  const members = ascending([...before.filter((each) => !change.remove.includes(each)), ...change.add]);
  const kept = Math.min(newest?.threshold ?? 0, members.length);
  const next = {
    replaces: newest?.version ?? 0,
    members,
    threshold: change.threshold ?? Math.max(leastThreshold(members.length), kept),
    come: ascending(change.add),
    gone: ascending(change.remove),
  };
  requireAllowed(role, before.length, next);
  return next;
}
