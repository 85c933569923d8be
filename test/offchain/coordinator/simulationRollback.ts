/** Holders of the simulation who take the run back now and then, a stranger's heads or its own. */
import { type Address, type Digest, digestOfJson, headHash, type PositionRange, zeroHash } from "@cotrain/sdk/protocol";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { splitRanges } from "../../../offchain/src/data/index.ts";
import { receiptsOf } from "../../../offchain/src/coordinator/machine/dealing.ts";
import type { GivenHead, RolledBack, RunEvent, Unstamped } from "../../../offchain/src/coordinator/machine/events.ts";
import { losesNothing } from "../../../offchain/src/coordinator/machine/rollback.ts";
import type { Checkpoint, RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import { registry, runId } from "./simulated.ts";
import { type ChainHead, endOf, epochAt } from "./simulationWorld.ts";

/** What is known of a round that ended. */
interface Ended {
  readonly checkpoint: Checkpoint;
  readonly screenings: readonly Digest[];
  readonly positions: readonly PositionRange[];
  readonly tokens: readonly (readonly [Address, number])[];
}

/** Of the moments at which they may; and of those at which the coordinator does not know yet what it posted last. */
const SHARE = 0.02;
const SHARE_UNNOTED = 0.5;

/** A head that somebody else posts behind others. */
function given(parent: Pick<GivenHead, "head" | "sequence">, round: number, checkpoint: Digest, at: number): GivenHead {
  const fields = { parentHead: parent.head, round, paramsVersion: 1, receiptsRoot: zeroHash } as const;
  const sequence = parent.sequence + 1;
  const head = headHash({
    ...fields,
    chainId: 31_337n,
    registry,
    runId,
    sequence: BigInt(sequence),
    round: BigInt(round),
    checkpointDigest: checkpoint,
  });
  const anchor = { transaction: null, block: sequence, anchoredAt: at, epoch: epochAt(at) };
  return { ...fields, head, sequence, checkpoint, anchor, epochEnd: endOf(epochAt(at)) };
}

export function createHolders(seed: string | number, created: Checkpoint) {
  const random = createRandom(`holders/${seed}`);
  const ended = new Map<number, Ended>([[0, { checkpoint: created, screenings: [], positions: [], tokens: [] }]]);
  let deepest = 0;

  return {
    /** The newest rollback: blocks before it are final. */
    get deepest() {
      return deepest;
    },
    note(event: RunEvent, before: RunState, { checkpoint, screenings }: RunState): void {
      if (event.type === "RolledBack") deepest = event.given.at(-1)!.sequence;
      if (event.type !== "CheckpointStored" || !before.current) return;
      const { current } = before;
      const receipts = receiptsOf(current).flatMap(({ receipt, assignment }) =>
        receipt ? [{ receipt, assignment }] : [],
      );
      ended.set(event.round + 1, {
        checkpoint,
        screenings,
        positions: receipts.flatMap(
          ({ receipt, assignment }) => splitRanges(assignment.ranges, receipt.receipt.steps * assignment.batch)[0],
        ),
        tokens: receipts
          .filter(({ assignment }) => (current.excluded[assignment.worker] ?? 0) === 0)
          .map(({ receipt, assignment }) => [assignment.worker, receipt.tokens]),
      });
    },
    /** @param heads of the chain @returns undefined where they let the run be; what takes back a head that is not noted yet is refused */
    decide(state: RunState, heads: readonly ChainHead[], at: number): Unstamped<RolledBack> | undefined {
      const newest = state.heads.find(({ head }) => head === heads.at(-1)?.head);
      if (!newest || random.float() >= (newest.anchor ? SHARE : SHARE_UNNOTED)) return undefined;
      const isStolen = random.float() < 0.5;
      const round = isStolen ? newest.round : newest.round - 1 - random.below(Math.max(1, Math.min(4, newest.round)));
      const target = ended.get(round);
      if (!target || round < 0) return undefined;
      const stolen = given(newest, newest.round + 1, digestOfJson({ stolen: newest.head }), at);
      const first = isStolen ? [stolen] : [];
      const links = [...first, given(first[0] ?? newest, round, target.checkpoint.digest, at)];
      const tokens: Record<Address, number> = {};
      const positions: PositionRange[] = [];
      for (const [of, lost] of ended)
        if (of > round && of <= state.round) {
          positions.push(...lost.positions);
          for (const [worker, count] of lost.tokens) tokens[worker] = (tokens[worker] ?? 0) + count;
        }
      const { checkpoint, screenings } = target;
      const undoing = {
        checkpoint,
        positions,
        tokens,
        screenings,
        secret: digestOfJson({ undone: newest.head, seed }),
      };
      return {
        type: "RolledBack",
        newest: state.heads.at(-1)!.head,
        given: links,
        undoing: losesNothing(state, links) ? null : undoing,
      };
    },
  };
}
