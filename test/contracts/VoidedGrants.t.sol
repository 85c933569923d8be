// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {GrantState, ICodeGrants} from "../../contracts/interfaces/ICodeGrants.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {Grant} from "../../contracts/interfaces/Statements.sol";
import {ModelShares} from "../../contracts/models/ModelShares.sol";
import {Grants} from "./support/Grants.sol";

/// @notice The holders end all that one set of maintainers approved, by one call.
contract VoidedGrantsTest is Grants {
    address private constant OTHER = address(0xb0);

    function test_oneDecisionEndsAllThatASetApproved() public {
        bytes32[] memory ids = _approveMany(3);
        vm.expectEmit(address(grants));
        emit ICodeGrants.GrantSetVoided(modelId, 1);
        _void(1);
        eq(grants.voidedAt(modelId, 1), block.timestamp, "since when");
        vm.warp(block.timestamp + 1_000);
        vm.recordLogs();
        for (uint256 i = 0; i < ids.length; ++i) {
            GrantState memory grant = grants.grantOf(modelId, ids[i]);
            eq(grant.amount, 0, "nothing is left of it");
            yes(grant.revoked, "the holders ended it");
            eq(grant.setVersion, 1, "with its set");
            eq(grants.dueAt(modelId, ids[i], uint48(block.timestamp)), 0, "nothing is due");
            eq(grants.claim(modelId, ids[i]), 0, "nothing is paid");
        }
        eq(vm.getRecordedLogs().length, 0, "without a word");
        eq(shares.totalSupply(), 3e18, "still to be burned");
        eq(grants.unburned(modelId, ids[0]), 1e18, "of each");
        for (uint256 i = 0; i < ids.length; ++i) {
            vm.expectEmit(address(grants));
            emit ICodeGrants.GrantRevoked(modelId, ids[i], AUTHOR, 0, 1e18);
        }
        vm.prank(OTHER);
        eq(grants.burnVoided(modelId, ids), 3e18, "by anybody");
        eq(shares.totalSupply(), 0, "all of it");
        eq(grants.unburned(modelId, ids[0]), 0, "and nothing more");
    }

    /// @dev More than a proposal could name, and what the set approves until the vote is carried out.
    function test_aVoteEndsWhatNoProposalCouldName() public {
        _holder();
        bytes32[] memory ids = _approveMany(70);
        uint256 vetoEnds = grants.grantOf(modelId, ids[0]).vetoEnds;
        vm.warp(block.timestamp + WINDOW - 2);
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) = _voiding();
        uint256 proposal = governor.propose(targets, values, calls, "veto");
        vm.warp(governor.proposalDeadline(proposal));
        governor.castVote(proposal, 1);
        Grant memory late = grantOf(AUTHOR, 1e18);
        late.start = 0;
        bytes32 id = approve(late);
        vm.warp(governor.proposalDeadline(proposal) + 1);
        governor.queue(targets, values, calls, keccak256("veto"));
        vm.warp(governor.proposalEta(proposal));
        governor.execute(targets, values, calls, keccak256("veto"));
        eq(block.timestamp, vetoEnds - 1, "in time to the second");
        vm.warp(block.timestamp + 1_000);
        eq(grants.claim(modelId, id), 0, "what was approved meanwhile as well");
        eq(grants.burnVoided(modelId, ids), 70e18, "all of them");
        eq(shares.totalSupply(), 101e18, "but what nobody named yet");
    }

    function test_whatWasDueStaysTheAuthors() public {
        Grant memory grant = grantOf(AUTHOR, 100e18);
        bytes32 id = approve(grant);
        vm.warp(grant.start + 40);
        grants.claim(modelId, id);
        vm.warp(grant.start + 60);
        _void(1);
        vm.warp(grant.start + 1_000);
        eq(grants.dueAt(modelId, id, uint48(grant.start + 50)), 50e18, "then");
        eq(grants.dueAt(modelId, id, uint48(grant.start + 61)), 60e18, "and no more from then on");
        eq(grants.grantOf(modelId, id).amount, 60e18, "what is left of it");
        eq(grants.grantOf(modelId, id).claimed, 40e18, "claimed");
        eq(grants.unburned(modelId, id), 40e18, "what will never be due");
        uint256 before = vm.snapshotState();
        eq(grants.claim(modelId, id), 20e18, "before the rest is burned");
        eq(grants.burnVoided(modelId, _one(id)), 40e18, "the rest");
        eq(shares.balanceOf(address(grants)), 0, "nothing is left over");
        vm.revertToState(before);
        vm.expectEmit(address(grants));
        emit ICodeGrants.GrantRevoked(modelId, id, AUTHOR, 60e18, 40e18);
        eq(grants.burnVoided(modelId, _one(id)), 40e18, "the rest");
        eq(grants.claim(modelId, id), 20e18, "or after");
        eq(grants.grantOf(modelId, id).amount, 60e18, "as it was told before");
        eq(shares.balanceOf(address(grants)), 0, "nothing is left over");
    }

    /// @dev Where nothing was left to end, a grant is not said to have been ended.
    function test_whatWasAllDueIsUntouched() public {
        Grant memory grant = grantOf(AUTHOR, 100e18);
        bytes32 id = approve(grant);
        vm.warp(grant.start + 100);
        _void(1);
        yes(!grants.grantOf(modelId, id).revoked, "stands");
        vm.recordLogs();
        eq(grants.burnVoided(modelId, _one(id)), 0, "nothing to burn");
        eq(vm.getRecordedLogs().length, 0, "without a word");
        eq(grants.claim(modelId, id), 100e18, "all of it");
    }

    function test_whatIsBurnedIsBurnedOnce() public {
        bytes32 id = approve(grantOf(AUTHOR, 1e18));
        approve(grantOf(OTHER, 5e18));
        _void(1);
        bytes32[] memory twice = new bytes32[](2);
        (twice[0], twice[1]) = (id, id);
        eq(grants.burnVoided(modelId, twice), 1e18, "once");
        eq(grants.burnVoided(modelId, twice), 0, "ever");
        eq(shares.totalSupply(), 5e18, "the other's is still there");
    }

    function test_aVoidedGrantCanBeRevokedAsWell() public {
        Grant memory grant = grantOf(AUTHOR, 100e18);
        bytes32 id = approve(grant);
        vm.warp(grant.start + 60);
        _void(1);
        vm.warp(grant.start + 90);
        vm.prank(address(timelock));
        grants.revoke(modelId, id);
        eq(shares.totalSupply(), 60e18, "what was due when its set was voided");
        eq(grants.burnVoided(modelId, _one(id)), 0, "nothing more");
    }

    /// @dev It would draw budgets, all to be burned.
    function test_aVoidedSetApprovesNoMore() public {
        _void(1);
        Grant memory grant = grantOf(AUTHOR, 1e18);
        bytes memory refusal = abi.encodeWithSelector(
            ICodeGrants.CodeGrantsVoidedSet.selector,
            uint32(1),
            uint48(block.timestamp)
        );
        bytes memory signatures = signedGrant(grant);
        vm.expectRevert(refusal);
        grants.approve(grant, REPOSITORY, signatures);
    }

    function test_anotherSetsGrantsStand() public {
        // A set changes once an epoch.
        vm.warp(START + EPOCH);
        vm.prank(address(timelock));
        validators.setMaintainers(modelId, 1, addressesOf(maintainers), 3);
        bytes32[] memory ids = new bytes32[](2);
        ids[0] = approve(grantOf(AUTHOR, 1e18));
        vm.warp(block.timestamp + WINDOW);
        Grant memory grant = grantOf(AUTHOR, 2e18);
        grant.setVersion = 2;
        _void(1);
        ids[1] = grants.approve(grant, REPOSITORY, signedBy(maintainers, grantDigest(grant)));
        eq(grants.grantOf(modelId, ids[1]).setVersion, 2, "the other set's");
        yes(!grants.grantOf(modelId, ids[1]).revoked, "stands");
        eq(grants.unburned(modelId, ids[1]), 0, "nothing to burn");
        eq(grants.burnVoided(modelId, ids), 1e18, "the voided one's alone");
        vm.warp(block.timestamp + 1_000);
        eq(grants.claim(modelId, ids[1]), 2e18, "is paid");
    }

    function test_whatTheHoldersApprovedIsVoidedWithNoSet() public {
        bytes32 id = approveByVote(grantOf(AUTHOR, 1e18));
        _void(1);
        vm.startPrank(address(timelock));
        for (uint32 version = 0; version <= 2; version += 2) {
            vm.expectRevert(
                abi.encodeWithSelector(IValidatorSet.ValidatorSetUnknownVersion.selector, modelId, version)
            );
            grants.voidSet(modelId, version);
        }
        vm.stopPrank();
        eq(grants.burnVoided(modelId, _one(id)), 0, "nothing to burn");
        eq(grants.grantOf(modelId, id).setVersion, 0, "no set");
        vm.warp(block.timestamp + 1_000);
        eq(grants.claim(modelId, id), 1e18, "all of it");
    }

    /// @dev No revert: it would undo the rest of a proposal. And no later time: more would be due.
    function test_aSetIsVoidedOnce() public {
        _void(1);
        uint256 first = block.timestamp;
        vm.warp(first + 50);
        vm.recordLogs();
        _void(1);
        eq(vm.getRecordedLogs().length, 0, "without a word");
        eq(grants.voidedAt(modelId, 1), first, "as it was");
    }

    function test_onlyTheTimelockVoidsASet() public {
        address other = registry.timelockOf(registry.createModel(modelConfig(), "other"));
        address[4] memory others = [ORGANISER, address(governor), vm.addr(maintainers[0]), other];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(unauthorised(modelId, others[i]));
            vm.prank(others[i]);
            grants.voidSet(modelId, 1);
        }
    }

    function test_anotherModelsSetOfThatNumberIsItsOwn() public {
        (ModelId first, address holders) = (modelId, address(timelock));
        useModel(registry.createModel(modelConfig(), "twin"));
        vm.startPrank(address(timelock));
        validators.setMaintainers(modelId, 0, addressesOf(maintainers), 2);
        grants.setCaps(modelId, 0, 150e18, 250e18);
        vm.stopPrank();
        vm.warp(block.timestamp + WINDOW);
        bytes32 id = approve(grantOf(AUTHOR, 1e18));
        vm.prank(holders);
        grants.voidSet(first, 1);
        eq(grants.voidedAt(modelId, 1), 0, "not this model's");
        eq(grants.burnVoided(modelId, _one(id)), 0, "nothing to burn");
        vm.expectRevert(abi.encodeWithSelector(ICodeGrants.CodeGrantsUnknown.selector, first, id));
        grants.burnVoided(first, _one(id));
        vm.expectRevert(abi.encodeWithSelector(ICodeGrants.CodeGrantsUnknown.selector, first, id));
        grants.unburned(first, id);
    }

    // --- helpers --------------------------------------------------------------------------------------------------------

    /// @dev A share each.
    function _approveMany(uint256 count) private returns (bytes32[] memory ids) {
        ids = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            Grant memory grant = grantOf(AUTHOR, 1e18);
            grant.commit = bytes32(i + 1);
            ids[i] = approve(grant);
        }
    }

    function _void(uint32 version) private {
        vm.prank(address(timelock));
        grants.voidSet(modelId, version);
    }

    function _one(bytes32 id) private pure returns (bytes32[] memory ids) {
        ids = new bytes32[](1);
        ids[0] = id;
    }

    /// @dev This test holds 100 shares that vote.
    function _holder() private {
        _endBootstrapOf(modelId);
        vm.prank(address(emission));
        ModelShares(address(shares)).mint(address(this), 100e18);
        shares.delegate(address(this));
        vm.warp(block.timestamp + 1);
    }

    function _voiding() private view returns (address[] memory targets, uint256[] memory values, bytes[] memory calls) {
        (targets, values, calls) = (new address[](1), new uint256[](1), new bytes[](1));
        (targets[0], calls[0]) = (address(grants), abi.encodeCall(grants.voidSet, (modelId, 1)));
    }
}
