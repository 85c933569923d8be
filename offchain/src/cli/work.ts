/**
 * Shares of a run's work. All that show them, the picture, the summary, `status` and a worker's own terminal, divide by the same:
 * the accepted tokens of all who ever worked for the run, which are those that its newest checkpoint says it was trained on.
 */
import { type Address, asAddress, type RunView } from "@cotrain/sdk/protocol";

type Work = Pick<RunView, "members" | "accepted">;

/** Accepted tokens of all, whether they are there or have left. */
export const allWork = ({ accepted }: Pick<Work, "accepted">): bigint => BigInt(accepted.tokens);

/** Accepted tokens of one who is there. */
export const workOf = ({ members }: Pick<Work, "members">, worker: Address): bigint =>
  BigInt(members.find((member) => asAddress(member.worker) === worker)?.tokens ?? 0);

/** Those who worked and have left, and their accepted tokens. */
export const leftWork = ({ members, accepted }: Work): { readonly workers: number; readonly tokens: bigint } => ({
  workers: accepted.workers - members.filter(({ tokens }) => tokens !== "0").length,
  tokens: BigInt(accepted.tokens) - members.reduce((sum, { tokens }) => sum + BigInt(tokens), 0n),
});
