// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Digest} from "../../../contracts/interfaces/Ids.sol";
import {CODE} from "../../../contracts/interfaces/Kinds.sol";
import {Grant} from "../../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../../contracts/libraries/ProtocolHashes.sol";
import {Fixture} from "./Fixture.sol";

/// @notice A model with three maintainers, two of whom sign, and caps that leave them room.
abstract contract Grants is Fixture {
    address internal constant AUTHOR = address(0xa0);
    string internal constant REPOSITORY = "https://example.org/cotrain.git";
    /// @dev Code's part of an epoch.
    uint256 internal constant CODE_BUDGET = (uint256(BUDGET) * 1_000) / 10_000;
    /// @dev Window, vote and timelock.
    uint256 internal constant VETO = uint256(WINDOW) + 1 + 6 + 2 + 3;

    uint256[] internal maintainers;

    function setUp() public virtual override {
        super.setUp();
        maintainers = ascendingKeys(2_000, 3);
        vm.startPrank(address(timelock));
        validators.setMaintainers(modelId, 0, addressesOf(maintainers), 2);
        grants.setCaps(modelId, 150e18, 250e18);
        vm.stopPrank();
        vm.warp(START + WINDOW);
    }

    /// @dev Paid over 100 seconds from now on, nothing of it in the first 10.
    function grantOf(address author, uint128 amount) internal view returns (Grant memory) {
        return
            Grant({
                modelId: modelId,
                author: author,
                repository: Digest.wrap(sha256(bytes(REPOSITORY))),
                commit: "commit",
                description: Digest.wrap("description"),
                amount: amount,
                start: uint64(block.timestamp),
                cliff: 10,
                duration: 100,
                setVersion: 1,
                deadline: uint64(block.timestamp) + 60
            });
    }

    function signedGrant(Grant memory grant) internal view returns (bytes memory) {
        uint256[] memory two = new uint256[](2);
        (two[0], two[1]) = (maintainers[0], maintainers[1]);
        return signedBy(two, grantDigest(grant));
    }

    function grantDigest(Grant memory grant) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(grants.domainSeparator(), ProtocolHashes.hashGrant(grant));
    }

    function approve(Grant memory grant) internal returns (bytes32) {
        return grants.approve(grant, REPOSITORY, signedGrant(grant));
    }

    function approveByVote(Grant memory grant) internal returns (bytes32) {
        grant.setVersion = 0;
        vm.prank(address(timelock));
        return grants.approveByVote(grant, REPOSITORY);
    }

    /// @dev What may still be drawn.
    function budgetLeft() internal view returns (uint256) {
        return emission.authorisable(modelId, CODE, 1, type(uint64).max, uint48(block.timestamp));
    }
}
