/** What slow devices cost the others, by the coordinator's own state machine in simulated time: the same on every machine. */
import { roundsBeside, roundsOf, shapes, slowMembers } from "../offchain/coordinator/slowRounds.ts";
import { type BenchOptions, percent, type Row } from "./report.ts";

/** Times as slow as the others. */
const SLOWER = 20;

export async function benchmarkPace({ quick, note }: BenchOptions): Promise<Row[]> {
  note("rounds beside slow devices, simulated");
  const rows = (quick ? shapes.slice(0, 1) : shapes).map((shape): Row => {
    const [alone, beside] = [roundsOf(shape, {}), roundsOf(shape, { pace: SLOWER * shape.pace })];
    return {
      what: `rounds of ${shape.name} beside one device at a twentieth of the speed, over those of three alike (simulated)`,
      goal: "≤ 110%",
      result: `${percent(beside.mean / alone.mean, 1)} in the mean; it is paid in ${beside.rounds} of ${beside.rounds + beside.missing} rounds`,
      met: beside.mean <= 1.1 * alone.mean,
    };
  });
  const alone = roundsBeside([]);
  for (const slow of quick ? [1] : [1, 3, 9]) {
    const { mean, paid } = roundsBeside(slowMembers(slow));
    rows.push({
      what: `rounds of ten alike beside ${slow} for whom one step takes longer than a round (simulated)`,
      result: `${percent(mean / alone.mean, 1)} in the mean; those are paid in ${Math.min(...paid)} of ${Math.max(...paid)} rounds at least`,
    });
  }
  return rows;
}
