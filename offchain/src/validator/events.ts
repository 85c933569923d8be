/** What happens in a validator, and the line that its log says of it. */
import type { Address, RunId } from "@cotrain/sdk/protocol";
import { getAddress } from "viem";

import type { Logger } from "../service/index.ts";

export type ValidatorEvent =
  | {
      readonly type: "judged";
      readonly head: string;
      readonly round: number;
      readonly fragment: number;
      readonly holds: boolean;
      readonly reason: string;
    }
  | {
      readonly type: "measured";
      readonly head: string;
      readonly round: number;
      readonly microBitsPerByte: number;
      readonly sequences: number;
      /** Processor time of its evaluations, as a share of what the machine had meanwhile. */
      readonly share: number;
      /** The run does not train, and no bound holds for measuring. */
      readonly atRest: boolean;
    }
  /** Losses of a head's gate were measured, up to one that is not the record's if there is one; share and rest as of `measured`. */
  | {
      readonly type: "audited";
      readonly head: string;
      readonly round: number;
      readonly losses: number;
      readonly holds: boolean;
      readonly share: number;
      readonly atRest: boolean;
    }
  /** What another validator drew of a head was found not to hold. */
  | {
      readonly type: "confirmed";
      readonly head: string;
      readonly round: number;
      readonly fragment: number;
      readonly drawer: Address;
      readonly reason: string;
    }
  | { readonly type: "attested"; readonly epoch: number; readonly root: string }
  | { readonly type: "refused"; readonly epoch: number; readonly reason: string }
  /** Nothing that this key signs counts for the model; said once for each version of its set. */
  | { readonly type: "not-a-member"; readonly validator: Address; readonly set: number }
  /** Nothing is signed about the checkpoints of a run; said once. */
  | { readonly type: "unfit"; readonly runId: RunId; readonly reason: string }
  | { readonly type: "retrying"; readonly what: string; readonly reason: string }
  /** Others have not told yet what they drew, as happens in any epoch, or deny it: this validator looks as well. */
  | { readonly type: "looking"; readonly what: string; readonly reason: string };

const tookText = ({ share, atRest }: { readonly share: number; readonly atRest: boolean }): string =>
  `evaluated with ${(100 * share).toFixed(1)}% of the machine${atRest ? " at rest" : ""}`;

/** One line for everything that a validator says to others, and for what keeps it from saying more. */
export function logEvent(logger: Logger, event: ValidatorEvent): void {
  const { type, ...fields } = event;
  switch (event.type) {
    case "judged":
      if (event.holds) logger.info(fields, `checkpoint ${event.round}: fragment ${event.fragment} recomputed, equal`);
      else logger.error(fields, `checkpoint ${event.round}: fragment ${event.fragment} does not hold: ${event.reason}`);
      return;
    case "confirmed":
      logger.error(
        fields,
        `checkpoint ${event.round}: fragment ${event.fragment}, drawn by ${event.drawer}, does not hold: ${event.reason}`,
      );
      return;
    case "measured":
      logger.info(
        fields,
        `checkpoint ${event.round}: ${(event.microBitsPerByte / 1e6).toFixed(3)} held-out bits/byte on ${event.sequences} sequences, ${tookText(event)}`,
      );
      return;
    case "audited":
      logger.info(
        fields,
        `checkpoint ${event.round}: ${event.losses} losses of its gate, ${event.holds ? "as recorded" : "not all as recorded"}, ${tookText(event)}`,
      );
      return;
    case "attested":
      logger.info(fields, `epoch ${event.epoch} recomputed, equal, signed`);
      return;
    case "refused":
      logger.error(
        fields,
        `epoch ${event.epoch} is not signed: ${event.reason} If others sign it all the same, its root can be disputed ("npx cotrain watch").`,
      );
      return;
    case "unfit":
      logger.error(fields, `nothing is signed about the checkpoints of this run: ${event.reason}`);
      return;
    case "retrying":
      logger.warn(fields, `${event.what}: ${event.reason}`);
      return;
    case "looking":
      logger.info(fields, `${event.what}: ${event.reason}`);
      return;
    case "not-a-member":
      logger.warn(
        fields,
        `${getAddress(event.validator)} is not in this run's validator set (the model's holders decide it): nothing it signs counts`,
      );
      return;
    default:
      logger.warn(fields, type);
  }
}
