/** RunParams: what the holders govern, bounded and versioned by RunRegistry. */
import { type AbiParameter, encodeAbiParameters, type Hex } from "viem";
import { ProtocolError } from "../baseErrors.ts";

/** In the order of the Solidity struct. `ppm` = millionths, `ppb` = billionths, `bps` = ten-thousandths. */
export interface RunParams {
  /** H, inner steps per round; a multiple of the run's fragments. */
  readonly innerSteps: number;
  /** H of the first `rampRounds` rounds, which average plainly. */
  readonly rampInnerSteps: number;
  readonly rampRounds: number;
  readonly innerLrPpb: number;
  readonly outerLrPpm: number;
  readonly outerMomentumPpm: number;
  readonly minWorkers: number;
  readonly maxWorkers: number;
  /** Seconds after which a round closes with who is there. */
  readonly roundDeadline: number;
  readonly codec: number;
  readonly downCodec: number;
  readonly outerOptimizer: number;
  readonly aggregator: number;
  readonly aggregatorBps: number;
  /** τ of Streaming DiLoCo; 0 = all fragments close together. */
  readonly delaySteps: number;
  readonly mixingBps: number;
  readonly weighting: number;
  readonly innerState: number;
  readonly admission: number;
  readonly minStake: bigint;
  readonly replayBps: number;
}

export const runParamsComponents = [
  { name: "innerSteps", type: "uint32" },
  { name: "rampInnerSteps", type: "uint32" },
  { name: "rampRounds", type: "uint32" },
  { name: "innerLrPpb", type: "uint32" },
  { name: "outerLrPpm", type: "uint32" },
  { name: "outerMomentumPpm", type: "uint32" },
  { name: "minWorkers", type: "uint16" },
  { name: "maxWorkers", type: "uint16" },
  { name: "roundDeadline", type: "uint32" },
  { name: "codec", type: "uint8" },
  { name: "downCodec", type: "uint8" },
  { name: "outerOptimizer", type: "uint8" },
  { name: "aggregator", type: "uint8" },
  { name: "aggregatorBps", type: "uint16" },
  { name: "delaySteps", type: "uint16" },
  { name: "mixingBps", type: "uint16" },
  { name: "weighting", type: "uint8" },
  { name: "innerState", type: "uint8" },
  { name: "admission", type: "uint8" },
  { name: "minStake", type: "uint128" },
  { name: "replayBps", type: "uint16" },
] as const satisfies readonly AbiParameter[];

/** abi.encode of the struct. */
export function encodeRunParams(params: RunParams): Hex {
  return encodeAbiParameters([{ type: "tuple", components: runParamsComponents }], [params]);
}

/** JSON form: minStake as a decimal string. */
export type WireRunParams = Omit<RunParams, "minStake"> & { readonly minStake: string };
export const runParamsToWire = (params: RunParams): WireRunParams => ({
  ...params,
  minStake: params.minStake.toString(),
});
export const runParamsFromWire = (wire: WireRunParams): RunParams => ({ ...wire, minStake: BigInt(wire.minStake) });

/** H of a round (0-based): the ramp's, then the run's. */
export const innerStepsOf = (
  params: Pick<RunParams, "innerSteps" | "rampInnerSteps" | "rampRounds">,
  round: number,
): number => (round < params.rampRounds ? params.rampInnerSteps : params.innerSteps);

/** Outer learning rate and momentum of a round: plain averaging in the ramp. Both in ppm. */
export function outerHyperparametersOf(params: RunParams, round: number): { lrPpm: number; momentumPpm: number } {
  if (round < params.rampRounds) return { lrPpm: 1_000_000, momentumPpm: 0 };
  return { lrPpm: params.outerLrPpm, momentumPpm: params.outerMomentumPpm };
}

function refuse(sentence: string): never {
  throw new ProtocolError("INVALID_PARAMS", sentence);
}

/** The same rules that RunRegistry enforces beyond the bounds. @throws ProtocolError INVALID_PARAMS */
export function checkRunParams(params: RunParams, fragments: number): void {
  if (params.innerSteps === 0 || params.innerSteps % fragments !== 0)
    refuse(`innerSteps is ${params.innerSteps}; it must be a positive multiple of the ${fragments} fragments.`);
  if (params.rampInnerSteps % fragments !== 0 || (params.rampInnerSteps === 0 && params.rampRounds > 0))
    refuse(`rampInnerSteps is ${params.rampInnerSteps}; it must be a positive multiple of the ${fragments} fragments.`);
  if (params.delaySteps * fragments >= params.innerSteps)
    refuse(`delaySteps is ${params.delaySteps}; it must be below innerSteps ÷ fragments.`);
  if (params.minWorkers === 0 || params.minWorkers > params.maxWorkers)
    refuse(`minWorkers is ${params.minWorkers}; it must be from 1 to maxWorkers (${params.maxWorkers}).`);
  if (params.outerMomentumPpm >= 1_000_000)
    refuse(`outerMomentumPpm is ${params.outerMomentumPpm}; it must be below 1000000.`);
  for (const field of ["aggregatorBps", "mixingBps", "replayBps"] as const)
    if (params[field] > 10_000) refuse(`${field} is ${params[field]}; it must be at most 10000.`);
}
