/** What a run moved, beside what synchronous training would have. */
import { codecCode, nameOfCode, parameterText, type RunView } from "@cotrain/sdk/protocol";

import { formatBytes } from "../../base/index.ts";
import { codecOf } from "../../diloco/index.ts";

/** What a coordinator of another version uses may not be known here. */
const codecName = (code: number): string =>
  nameOfCode(codecCode, code) === undefined ? parameterText("codec", code) : codecOf(code).label;

/**
 * What was moved and what two ways of synchronous data parallelism would have: each worker sends its fp32 gradient to a server
 * and fetches the mean at every step (8 bytes a parameter and step), or the n workers of a round pass bf16 gradients round a
 * ring, each sending 2 (n − 1)/n × 2 bytes a parameter and step.
 */
export function trafficLines(view: {
  readonly traffic: RunView["traffic"];
  readonly params: Pick<RunView["params"], "codec" | "downCodec">;
}): string[] {
  const { up, down, synchronous, ring } = view.traffic;
  const sent = up + down;
  const times = (baseline: number): string => (sent === 0 ? "" : ` (${(baseline / sent).toFixed(0)}×)`);
  return [
    `${formatBytes(sent)}: ${formatBytes(up)} up (${codecName(view.params.codec)}), ${formatBytes(down)} down (${codecName(view.params.downCodec)})`,
    // Before anything was trained there is nothing to compare with; a worker alone has no ring.
    ...(synchronous > 0
      ? [`${formatBytes(synchronous)}${times(synchronous)} if every step went in fp32 both ways`]
      : []),
    ...(ring > 0 ? [`${formatBytes(ring)}${times(ring)} by a ring all-reduce in bf16`] : []),
  ];
}
