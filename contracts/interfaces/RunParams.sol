// SPDX-License-Identifier: MIT
// Written by deploy/generateSolidity.ts from sdk/src/protocol/parameters.ts; do not edit.
pragma solidity ^0.8.30;

/// @notice What the holders may tune in a run. The definition holds the shape of a schedule, this its size.
/// @param innerSteps H, inner steps per round (steps).
/// @param rampInnerSteps H of the first rounds (steps).
/// @param rampRounds How many first rounds average plainly (rounds).
/// @param innerLrPpb Inner learning rate (ppb).
/// @param outerLrPpm Outer learning rate (ppm).
/// @param outerMomentumPpm μ, outer momentum (ppm).
/// @param minWorkers Receipts that a round needs (workers).
/// @param maxWorkers Members at most (workers).
/// @param roundDeadline What a round may take before anything was measured; afterwards it follows what was, up to 4 times this (seconds).
/// @param codec Encoding of pseudo-gradients (code).
/// @param downCodec Encoding of checkpoints on their way down (code).
/// @param outerOptimizer Outer optimizer (code).
/// @param aggregator How the payloads of a round become one (code).
/// @param aggregatorBps Reference ÷ norm from which on a payload is clipped; 0 clips nothing (bps).
/// @param delaySteps τ of Streaming DiLoCo; 0 closes all fragments together (steps).
/// @param mixingBps α of Streaming DiLoCo (bps).
/// @param weighting What payloads weigh by (code).
/// @param innerState What becomes of a worker's inner optimizer between rounds (code).
/// @param admission Who may join (code).
/// @param minStake Stake that members need (coin wei).
/// @param replayBps Share of receipts that are replayed (bps).
struct RunParams {
    uint32 innerSteps;
    uint32 rampInnerSteps;
    uint32 rampRounds;
    uint32 innerLrPpb;
    uint32 outerLrPpm;
    uint32 outerMomentumPpm;
    uint16 minWorkers;
    uint16 maxWorkers;
    uint32 roundDeadline;
    uint8 codec;
    uint8 downCodec;
    uint8 outerOptimizer;
    uint8 aggregator;
    uint16 aggregatorBps;
    uint16 delaySteps;
    uint16 mixingBps;
    uint8 weighting;
    uint8 innerState;
    uint8 admission;
    uint128 minStake;
    uint16 replayBps;
}
