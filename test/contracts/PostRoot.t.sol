// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Digest, HeadHash, ModelId, RunId} from "../../contracts/interfaces/Ids.sol";
import {IComputeRewards, PendingRoot} from "../../contracts/interfaces/IComputeRewards.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {Attestation} from "../../contracts/interfaces/Statements.sol";
import {Fixture} from "./support/Fixture.sol";

contract PostRootTest is Fixture {
    uint256 private constant COMPUTE_BUDGET = (uint256(BUDGET) * 7_000) / 10_000;

    function test_aSignedRootIsPending() public {
        afterEpoch(1);
        Attestation memory a = attest(1, "root", COMPUTE_BUDGET);
        post(a);
        PendingRoot memory root = rewards.pending(modelId, 1);
        eq(root.digest, nameOf(a), "digest");
        eq(root.index, 1, "index");
        eq(root.fromEpoch, 1, "from");
        eq(root.toEpoch, 1, "to");
        eq(root.activatableAt, block.timestamp + WINDOW, "window");
        eq(root.asOf, a.deadline, "its deadline");
        eq(newestIndex(), 0, "none active");
        eq(rewards.rootAt(modelId, 1, 1).root, 0, "nor to be found");
        eq(shares.totalSupply(), 0, "nothing is minted before activation");
    }

    function test_onlyComputeAndRevenueArePaidHere() public {
        afterEpoch(1);
        for (uint8 kind = 0; kind <= 6; ++kind) {
            if (kind == 1 || kind == 5) continue;
            Attestation memory a = attest(1, "root", 0);
            a.kind = kind;
            _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsUnknownKind.selector, kind));
        }
    }

    function test_rootsAreNumberedInOrder() public {
        settle(1, "root", 1);
        afterEpoch(2);
        uint64[3] memory wrong = [uint64(0), 1, 3];
        for (uint256 i = 0; i < wrong.length; ++i) {
            Attestation memory a = attest(2, "next", 1);
            a.index = wrong[i];
            _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsWrongIndex.selector, wrong[i], 2));
        }
    }

    function test_aRootBeginsWhereTheLastOneEnded() public {
        settle(2, "root", 1);
        afterEpoch(4);
        uint64[3] memory wrong = [uint64(0), 2, 4];
        for (uint256 i = 0; i < wrong.length; ++i) {
            Attestation memory a = attest(4, "next", 1);
            a.fromEpoch = wrong[i];
            _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsWrongEpochs.selector, wrong[i], 4, 3));
        }
        post(attest(4, "next", 1));
        eq(rewards.pending(modelId, 1).fromEpoch, 3, "from");
    }

    function test_theEpochIsOver() public {
        vm.warp(START + EPOCH - 1);
        _refused(
            attest(1, "root", 1),
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsEpochNotOver.selector, 1, START + EPOCH)
        );
        vm.warp(START + EPOCH);
        post(attest(1, "root", 1));
    }

    function test_anEpochFarAwayIsNotOverEither() public {
        Attestation memory a = attest(1, "root", 1);
        a.toEpoch = type(uint64).max;
        uint256 end = START + uint256(type(uint64).max) * EPOCH;
        _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsEpochNotOver.selector, a.toEpoch, end));
    }

    function test_epochZeroDoesNotExist() public {
        Attestation memory a = attest(1, "root", 0);
        a.toEpoch = 0;
        a.deadline = uint64(START) + DELAY;
        _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsWrongEpochs.selector, 1, 0, 1));
    }

    function test_unknownModelsTakeNoRoot() public {
        afterEpoch(1);
        Attestation memory a = attest(1, "root", 1);
        a.modelId = NO_MODEL;
        _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsUnknownModel.selector, NO_MODEL));
    }

    function test_theDeadlineHasNotPassed() public {
        afterEpoch(1);
        Attestation memory a = attest(1, "root", 1);
        vm.warp(a.deadline + 1);
        _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsExpired.selector, a.deadline));
        vm.warp(a.deadline);
        post(a);
    }

    function test_theDeadlineIsAWholeNumberOfDelaysAfterTheEpoch() public {
        afterEpoch(1);
        uint64 end = uint64(block.timestamp);
        uint64[3] memory bad = [end, end + 1, end + DELAY + 1];
        for (uint256 i = 0; i < bad.length; ++i) {
            Attestation memory a = attest(1, "root", 1);
            a.deadline = bad[i];
            _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsBadDeadline.selector, bad[i], end, DELAY));
        }
        Attestation memory later = attest(1, "root", 1);
        later.deadline = end + 3 * DELAY;
        post(later);
    }

    function test_aDeadlineFarAheadHasNoBudget() public {
        afterEpoch(1);
        Attestation memory a = attest(1, "root", 1);
        a.deadline = uint64(block.timestamp) + DELAY * 220_000;
        _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsOverBudget.selector, 1, 0));
        a.deadline = type(uint64).max - ((type(uint64).max - uint64(block.timestamp)) % DELAY);
        _refused(
            a,
            abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, uint8(48), uint256(a.deadline))
        );
    }

    function test_oneRootIsPendingAtATime() public {
        afterEpoch(1);
        post(attest(1, "root", 1));
        uint48 due = uint48(block.timestamp + WINDOW);
        bytes memory refusal = abi.encodeWithSelector(IComputeRewards.ComputeRewardsRootPending.selector, 1, due);
        _refused(attest(1, "root", 1), refusal);
        _refused(attest(1, "another", 2), refusal);
        afterEpoch(2);
        _refused(attest(2, "next", 2), refusal);
        eq(rewards.pending(modelId, 1).activatableAt, due, "reposting does not reset the window");
    }

    function test_epochsRise() public {
        afterEpoch(2);
        settle(2, "root", 1);
        for (uint64 epoch = 1; epoch <= 2; ++epoch) {
            _refused(
                attest(epoch, "next", 2),
                abi.encodeWithSelector(IComputeRewards.ComputeRewardsWrongEpochs.selector, 3, epoch, 3)
            );
        }
    }

    function test_anAttestationServesOnce() public {
        afterEpoch(1);
        Attestation memory a = attest(1, "root", 1);
        post(a);
        vm.warp(block.timestamp + WINDOW);
        rewards.activate(posted);
        _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsWrongIndex.selector, 1, 2));
    }

    function test_theRootBeforeIsTheActiveOne() public {
        settle(1, "root", 1);
        afterEpoch(2);
        Attestation memory a = attest(2, "next", 2);
        a.previousRoot = 0;
        _refused(
            a,
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsStaleRoot.selector, bytes32(0), bytes32("root"))
        );
    }

    function test_aRootIsNotZero() public {
        afterEpoch(1);
        _refused(attest(1, 0, 1), abi.encodeWithSelector(IComputeRewards.ComputeRewardsZeroRoot.selector));
    }

    function test_theBudgetOfTheEpochsIsTheLimit() public {
        afterEpoch(1);
        _refused(
            attest(1, "root", COMPUTE_BUDGET + 1),
            abi.encodeWithSelector(
                IComputeRewards.ComputeRewardsOverBudget.selector,
                COMPUTE_BUDGET + 1,
                COMPUTE_BUDGET
            )
        );
        _refused(
            attest(1, "root", type(uint256).max),
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsOverBudget.selector, type(uint256).max, COMPUTE_BUDGET)
        );
        settle(1, "root", 1);
        afterEpoch(4);
        _refused(
            attest(4, "next", 3 * COMPUTE_BUDGET + 1),
            abi.encodeWithSelector(
                IComputeRewards.ComputeRewardsOverBudget.selector,
                3 * COMPUTE_BUDGET + 1,
                3 * COMPUTE_BUDGET
            )
        );
        post(attest(4, "next", 3 * COMPUTE_BUDGET));
    }

    function test_waitingLosesNothing() public {
        afterEpoch(50);
        settle(50, "root", 50 * COMPUTE_BUDGET);
        eq(shares.balanceOf(address(rewards)), 50 * COMPUTE_BUDGET, "all fifty epochs");
    }

    function test_theSetInForceSigns() public {
        afterEpoch(1);
        Attestation memory a = attest(1, "root", 1);
        a.setVersion = 2;
        _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsStaleSet.selector, 2, 1));

        address[] memory six = new address[](6);
        for (uint256 i = 0; i < 6; ++i) six[i] = vm.addr(keys[i]);
        a.setVersion = 1;
        a.deadline += DELAY;
        vm.prank(address(timelock));
        validators.setValidators(modelId, 1, six, 5);
        vm.warp(block.timestamp + WINDOW);
        _refused(a, abi.encodeWithSelector(IComputeRewards.ComputeRewardsStaleSet.selector, 1, 2));
        a.setVersion = 2;
        post(a);
    }

    function test_aQuorumSigns() public {
        afterEpoch(1);
        Attestation memory a = attest(1, "root", 1);
        uint256[] memory four = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) four[i] = keys[i];
        bytes memory signatures = signedBy(four, digestOf(a));
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetNoQuorum.selector, 4, 5));
        rewards.postRoot(a, signatures);
    }

    /// @dev Any field changed after signing makes every signature somebody else's.
    /// @dev Invariant 26, of run, epoch and set: each is a field.
    function testFuzz_signaturesCoverEveryField(uint8 field, uint256 bit) public {
        settle(1, "first", 5);
        afterEpoch(3);
        Attestation memory signed = attest(3, "root", 10);
        signed.deadline += DELAY;
        bytes memory signatures = signedBy(quorum(), digestOf(signed));
        Attestation memory a = abi.decode(abi.encode(signed), (Attestation));
        field = uint8(bound(field, 0, 8));
        if (field == 0) a.runId = RunId.wrap(_flip(RunId.unwrap(a.runId), bit));
        if (field == 1) a.epochDigest = Digest.wrap(_flip(Digest.unwrap(a.epochDigest), bit));
        if (field == 2) a.head = HeadHash.wrap(_flip(HeadHash.unwrap(a.head), bit));
        if (field == 3) a.root = _flip(a.root, bit);
        if (field == 4) a.total = bound(bit, 11, COMPUTE_BUDGET);
        if (field == 5) a.deadline += uint64(DELAY * bound(bit, 1, 100));
        if (field == 6) (a.toEpoch, a.deadline) = (2, a.deadline - EPOCH * 3 + DELAY * 4);
        if (field == 7) a.blockNumber ^= uint64(1) << uint8(bit % 64);
        if (field == 8) a.blockHash = _flip(a.blockHash, bit);
        vm.expectRevert();
        rewards.postRoot(a, signatures);
        rewards.postRoot(signed, signatures);
    }

    function test_signaturesForAnotherModelDoNotCount() public {
        ModelId mine = modelId;
        modelId = registry.createModel(modelConfig(), "twin");
        afterEpoch(1);
        Attestation memory a = attest(1, "root", 1);
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        a.modelId = mine;
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        rewards.postRoot(a, signatures);
    }

    /// @dev Invariant 26, of chain and contract.
    function test_signaturesForAnotherChainOrContractDoNotCount() public {
        afterEpoch(1);
        Attestation memory a = attest(1, "root", 1);
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.chainId(99);
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        rewards.postRoot(a, signatures);
        vm.chainId(31337);
        rewards.postRoot(a, signatures);
    }

    function _flip(bytes32 word, uint256 bit) private pure returns (bytes32) {
        return word ^ bytes32(uint256(1) << (bit % 256));
    }

    function _refused(Attestation memory a, bytes memory reason) private {
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.expectRevert(reason);
        rewards.postRoot(a, signatures);
    }
}
