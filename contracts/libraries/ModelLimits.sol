// SPDX-License-Identifier: MIT
// Written by deploy/generateSolidity.ts from deploy/profiles.ts; do not edit.
pragma solidity 0.8.37;

import {Limits} from "../interfaces/IModelRegistry.sol";

/// @title ModelLimits
/// @notice How small the minima may be that a ModelRegistry holds its models to. Who deploys looks at the same table: that
/// this is checked on-chain again is for those who did not see the deployment.
library ModelLimits {
    /// @notice Whether a chain is one that nobody's money is on.
    /// @param chainId Its id.
    /// @return True for a development chain.
    function isDevelopment(uint256 chainId) internal pure returns (bool) {
        return chainId == 31_337 || chainId == 1_337;
    }

    /// @notice What each minimum must at least be: a second, or a basis point, on development chains.
    /// @param chainId Id of the chain.
    /// @return The minima.
    function least(uint256 chainId) internal pure returns (Limits memory) {
        if (isDevelopment(chainId)) {
            return
                Limits({
                    epochLength: 1,
                    postingDelay: 1,
                    window: 1,
                    votingDelay: 1,
                    votingPeriod: 1,
                    lateQuorumExtension: 1,
                    timelockDelay: 1,
                    quorumBps: 1
                });
        }
        return
            Limits({
                epochLength: 1 days,
                postingDelay: 1 hours,
                window: 2 days,
                votingDelay: 1 days,
                votingPeriod: 3 days,
                lateQuorumExtension: 1 days,
                timelockDelay: 2 days,
                quorumBps: 400
            });
    }
}
