// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest} from "../../contracts/interfaces/Ids.sol";
import {GrantState, ICodeGrants} from "../../contracts/interfaces/ICodeGrants.sol";
import {IEmission} from "../../contracts/interfaces/IEmission.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {Grant} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {ModelShares} from "../../contracts/models/ModelShares.sol";
import {Grants} from "./support/Grants.sol";

contract CodeGrantsTest is Grants {
    address private constant OTHER = address(0xb0);

    // --- approved by maintainers ----------------------------------------------------------------------------------------

    function test_aQuorumOfMaintainersApproves() public {
        Grant memory grant = grantOf(AUTHOR, 100e18);
        bytes32 id = ProtocolHashes.grantId(grant);
        bytes memory signatures = signedGrant(grant);
        uint48 vetoEnds = uint48(block.timestamp + VETO);
        vm.expectEmit(address(grants));
        emit ICodeGrants.GrantApproved(modelId, id, AUTHOR, grant, REPOSITORY, vetoEnds);
        vm.expectEmit(address(emission));
        emit IEmission.EmissionAuthorised(modelId, 2, 1, 1, uint48(block.timestamp), 100e18);
        eq(grants.approve(grant, REPOSITORY, signatures), id, "id");
        eq(grants.grantIdOf(grant), id, "by the contract's own word");

        GrantState memory state = grants.grantOf(modelId, id);
        eq(state.author, AUTHOR, "author");
        eq(state.amount, 100e18, "amount");
        eq(state.start, grant.start, "start");
        eq(state.cliff, 10, "cliff");
        eq(state.duration, 100, "duration");
        eq(state.vetoEnds, vetoEnds, "veto");
        eq(state.claimed, 0, "claimed");
        yes(!state.revoked, "stands");
        eq(shares.balanceOf(address(grants)), 100e18, "minted to the contract that pays");
    }

    function test_fewerMaintainersApproveNothing() public {
        Grant memory grant = grantOf(AUTHOR, 1);
        uint256[] memory one = new uint256[](1);
        one[0] = maintainers[0];
        _refuse(
            grant,
            signedBy(one, grantDigest(grant)),
            abi.encodeWithSelector(IValidatorSet.ValidatorSetNoQuorum.selector, 1, 2)
        );
        uint256[] memory twice = new uint256[](2);
        (twice[0], twice[1]) = (maintainers[0], maintainers[0]);
        _refuse(
            grant,
            signedBy(twice, grantDigest(grant)),
            abi.encodeWithSelector(IValidatorSet.ValidatorSetBadSigner.selector, vm.addr(maintainers[0]))
        );
    }

    function test_validatorsApproveNoCode() public {
        Grant memory grant = grantOf(AUTHOR, 1);
        bytes memory signatures = signedBy(quorum(), grantDigest(grant));
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        grants.approve(grant, REPOSITORY, signatures);
    }

    function test_theSetInForceSigns() public {
        Grant memory grant = grantOf(AUTHOR, 1);
        grant.setVersion = 2;
        _refuse(grant, abi.encodeWithSelector(ICodeGrants.CodeGrantsStaleSet.selector, uint32(2), uint32(1)));
        grant.setVersion = 0;
        _refuse(grant, abi.encodeWithSelector(ICodeGrants.CodeGrantsStaleSet.selector, uint32(0), uint32(1)));
    }

    function test_aModelWithoutMaintainersLeavesItToTheHolders() public {
        useModel(registry.createModel(modelConfig(), "none"));
        Grant memory grant = grantOf(AUTHOR, 1);
        grant.setVersion = 0;
        _refuse(grant, "", abi.encodeWithSelector(IValidatorSet.ValidatorSetUnknownVersion.selector, modelId, 0));
        approveByVote(grant);
    }

    function test_aGrantIsApprovedOnce() public {
        Grant memory grant = grantOf(AUTHOR, 10e18);
        bytes32 id = approve(grant);
        bytes memory refusal = abi.encodeWithSelector(ICodeGrants.CodeGrantsApproved.selector, modelId, id);
        _refuse(grant, refusal);
        ++grant.deadline;
        _refuse(grant, refusal);
        vm.prank(address(timelock));
        grants.revoke(modelId, id);
        _refuse(grant, refusal);
        grant.commit = "another";
        yes(approve(grant) != id, "other terms are another grant");
    }

    function test_aGrantOfTheHoldersIsApprovedOnce() public {
        Grant memory grant = grantOf(AUTHOR, 10e18);
        bytes32 id = approve(grant);
        grant.setVersion = 0;
        vm.expectRevert(abi.encodeWithSelector(ICodeGrants.CodeGrantsApproved.selector, modelId, id));
        vm.prank(address(timelock));
        grants.approveByVote(grant, REPOSITORY);
    }

    function test_signaturesExpire() public {
        Grant memory grant = grantOf(AUTHOR, 1);
        vm.warp(grant.deadline + 1);
        _refuse(grant, abi.encodeWithSelector(ICodeGrants.CodeGrantsExpired.selector, grant.deadline));
        vm.warp(grant.deadline);
        approve(grant);
    }

    function test_signaturesAreBoundToEveryField() public {
        Grant memory grant = grantOf(AUTHOR, 5);
        bytes memory signatures = signedGrant(grant);
        for (uint256 i = 0; i < 9; ++i) {
            Grant memory other = grantOf(i == 0 ? OTHER : AUTHOR, i == 1 ? 6 : 5);
            if (i == 2) other.repository = Digest.wrap(sha256("https://example.org/other"));
            if (i == 3) other.commit = "other";
            if (i == 4) other.description = Digest.wrap("other");
            if (i == 5) --other.start;
            if (i == 6) ++other.cliff;
            if (i == 7) --other.duration;
            if (i == 8) ++other.deadline;
            vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
            grants.approve(other, i == 2 ? "https://example.org/other" : REPOSITORY, signatures);
        }
        vm.chainId(99);
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        grants.approve(grant, REPOSITORY, signatures);
    }

    /// @dev The same people maintain another model, whose holders have set caps too.
    function test_signaturesServeOneModel() public {
        Grant memory grant = grantOf(AUTHOR, 5);
        bytes memory signatures = signedGrant(grant);
        useModel(registry.createModel(modelConfig(), "twin"));
        vm.startPrank(address(timelock));
        validators.setMaintainers(modelId, 0, addressesOf(maintainers), 2);
        grants.setCaps(modelId, 0, 100e18, 100e18);
        vm.stopPrank();
        vm.warp(block.timestamp + WINDOW);
        grant.modelId = modelId;
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        grants.approve(grant, REPOSITORY, signatures);
    }

    function test_theUrlIsTheOneThatWasSigned() public {
        Grant memory grant = grantOf(AUTHOR, 1);
        bytes memory signatures = signedGrant(grant);
        bytes32 other = sha256("https://example.org/fork.git");
        vm.expectRevert(
            abi.encodeWithSelector(ICodeGrants.CodeGrantsOtherRepository.selector, other, grant.repository)
        );
        grants.approve(grant, "https://example.org/fork.git", signatures);
    }

    function test_termsAreBounded() public {
        uint256 latest = block.timestamp + 365 days;
        Grant memory grant = grantOf(address(0), 1);
        _outOfBounds(grant, "author", 0, 1, type(uint160).max);
        grant = grantOf(AUTHOR, 0);
        _outOfBounds(grant, "amount", 0, 1, type(uint128).max);
        grant = grantOf(AUTHOR, 1);
        grant.commit = 0;
        _outOfBounds(grant, "commit", 0, 1, type(uint256).max);
        grant = grantOf(AUTHOR, 1);
        grant.start = uint64(latest + 1);
        _outOfBounds(grant, "start", latest + 1, 0, latest);
        grant.start = uint64(latest);
        grant.duration = 3_650 days + 1;
        _outOfBounds(grant, "duration", 3_650 days + 1, 0, 3_650 days);
        grant.duration = 3_650 days;
        grant.cliff = grant.duration + 1;
        _outOfBounds(grant, "cliff", 3_650 days + 1, 0, 3_650 days);
        grant.cliff = grant.duration;
        approve(grant);
    }

    function test_aUrlHasOneTo256Bytes() public {
        string memory longest = string(new bytes(256));
        string memory longer = string(new bytes(257));
        Grant memory grant = grantOf(AUTHOR, 1);
        grant.repository = Digest.wrap(sha256(""));
        bytes memory signatures = signedGrant(grant);
        vm.expectRevert(_outside("repository", 0, 1, 256));
        grants.approve(grant, "", signatures);
        grant.repository = Digest.wrap(sha256(bytes(longer)));
        signatures = signedGrant(grant);
        vm.expectRevert(_outside("repository", 257, 1, 256));
        grants.approve(grant, longer, signatures);
        grant.repository = Digest.wrap(sha256(bytes(longest)));
        grants.approve(grant, longest, signedGrant(grant));
    }

    // --- caps -----------------------------------------------------------------------------------------------------------

    function test_withoutCapsMaintainersApproveNothing() public {
        useModel(registry.createModel(modelConfig(), "capless"));
        vm.prank(address(timelock));
        validators.setMaintainers(modelId, 0, addressesOf(maintainers), 2);
        vm.warp(block.timestamp + WINDOW);
        Grant memory grant = grantOf(AUTHOR, 1);
        _refuse(grant, abi.encodeWithSelector(ICodeGrants.CodeGrantsAboveAuthorCap.selector, AUTHOR, 1, 0));
    }

    function test_anAuthorHasACapInEachEpoch() public {
        vm.warp(START + 9 * EPOCH);
        approve(grantOf(AUTHOR, 100e18));
        Grant memory grant = grantOf(AUTHOR, 50e18 + 1);
        _refuse(grant, abi.encodeWithSelector(ICodeGrants.CodeGrantsAboveAuthorCap.selector, AUTHOR, 50e18 + 1, 50e18));
        grant.amount = 50e18;
        approve(grant);
        (uint256 byAuthor, uint256 inAll) = grants.approvedIn(modelId, 10, AUTHOR);
        eq(byAuthor, 150e18, "by author");
        eq(inAll, 150e18, "in all");
        vm.warp(START + 10 * EPOCH);
        grant.commit = "next epoch's";
        grant.deadline += EPOCH;
        grant.amount = 150e18;
        approve(grant);
    }

    function test_anEpochHasACapForAll() public {
        vm.warp(START + 9 * EPOCH);
        approve(grantOf(AUTHOR, 150e18));
        Grant memory grant = grantOf(OTHER, 100e18 + 1);
        _refuse(grant, abi.encodeWithSelector(ICodeGrants.CodeGrantsAboveEpochCap.selector, 100e18 + 1, 100e18));
        grant.amount = 100e18;
        approve(grant);
    }

    /// @dev Else maintainers would take back and give again as often as they like.
    function test_whatIsRevokedCountsAllTheSame() public {
        vm.warp(START + 9 * EPOCH);
        bytes32 id = approve(grantOf(AUTHOR, 150e18));
        vm.prank(address(timelock));
        grants.revoke(modelId, id);
        Grant memory grant = grantOf(AUTHOR, 1);
        _refuse(grant, abi.encodeWithSelector(ICodeGrants.CodeGrantsAboveAuthorCap.selector, AUTHOR, 1, 0));
    }

    function test_ofTwoDecisionsOnTheSameCapsTheFirstHolds() public {
        eq(grants.capsOf(modelId).version, 1, "set once");
        vm.startPrank(address(timelock));
        grants.setCaps(modelId, 1, 5, 6);
        for (uint32 stale = 0; stale < 4; ++stale) {
            if (stale == 2) continue;
            vm.expectRevert(abi.encodeWithSelector(ICodeGrants.CodeGrantsCapsReplaced.selector, modelId, stale, 2));
            grants.setCaps(modelId, stale, 7, 8);
        }
        grants.setCaps(modelId, 2, 7, 8);
        vm.stopPrank();
        eq(grants.capsOf(modelId).perAuthor, 7, "per author");
        eq(grants.capsOf(modelId).version, 3, "counted");
    }

    function test_loweredCapsRefuseAndDoNotUnderflow() public {
        vm.warp(START + 9 * EPOCH);
        approve(grantOf(AUTHOR, 100e18));
        vm.expectEmit(address(grants));
        emit ICodeGrants.GrantCapsSet(modelId, 1, 2);
        vm.prank(address(timelock));
        grants.setCaps(modelId, 1, 1, 2);
        eq(grants.capsOf(modelId).perAuthor, 1, "per author");
        eq(grants.capsOf(modelId).perEpoch, 2, "per epoch");
        Grant memory grant = grantOf(AUTHOR, 1);
        _refuse(grant, abi.encodeWithSelector(ICodeGrants.CodeGrantsAboveAuthorCap.selector, AUTHOR, 1, 0));
        grant = grantOf(OTHER, 1);
        _refuse(grant, abi.encodeWithSelector(ICodeGrants.CodeGrantsAboveEpochCap.selector, 1, 0));
    }

    // --- by the holders -------------------------------------------------------------------------------------------------

    function test_onlyTheTimelockDecidesForTheHolders() public {
        bytes32 id = approve(grantOf(AUTHOR, 1e18));
        Grant memory grant = grantOf(OTHER, 1);
        grant.setVersion = 0;
        address[4] memory others = [ORGANISER, AUTHOR, address(governor), vm.addr(maintainers[0])];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.startPrank(others[i]);
            vm.expectRevert(unauthorised(modelId, others[i]));
            grants.approveByVote(grant, REPOSITORY);
            vm.expectRevert(unauthorised(modelId, others[i]));
            grants.revoke(modelId, id);
            vm.expectRevert(unauthorised(modelId, others[i]));
            grants.setCaps(modelId, 1, 1, 1);
            vm.stopPrank();
        }
    }

    function test_anotherModelsTimelockDecidesNothingHere() public {
        bytes32 id = approve(grantOf(AUTHOR, 1e18));
        address other = registry.timelockOf(registry.createModel(modelConfig(), "other"));
        vm.startPrank(other);
        vm.expectRevert(unauthorised(modelId, other));
        grants.revoke(modelId, id);
        Grant memory grant = grantOf(OTHER, 1);
        vm.expectRevert(unauthorised(modelId, other));
        grants.approveByVote(grant, REPOSITORY);
        vm.stopPrank();
    }

    function test_aVoteNeedsNoMaintainerNoCapAndNoVeto() public {
        vm.warp(START + 9 * EPOCH);
        Grant memory grant = grantOf(AUTHOR, 1_000e18);
        grant.start -= 50;
        bytes32 id = approveByVote(grant);
        eq(grants.grantOf(modelId, id).vetoEnds, block.timestamp, "no veto");
        eq(grants.claim(modelId, id), 500e18, "half of it is due");
        (uint256 byAuthor, uint256 inAll) = grants.approvedIn(modelId, 10, AUTHOR);
        eq(byAuthor + inAll, 0, "the maintainers' caps are theirs");
    }

    function test_aVoteNamesNoSet() public {
        Grant memory grant = grantOf(AUTHOR, 1);
        vm.expectRevert(abi.encodeWithSelector(ICodeGrants.CodeGrantsStaleSet.selector, uint32(1), uint32(0)));
        vm.prank(address(timelock));
        grants.approveByVote(grant, REPOSITORY);
    }

    // --- paid -----------------------------------------------------------------------------------------------------------

    function test_itIsPaidLinearlyFromItsStartOn() public {
        vm.warp(START + EPOCH);
        Grant memory grant = grantOf(AUTHOR, 100e18);
        grant.start += 20;
        bytes32 id = approve(grant);
        uint256 start = grant.start;
        uint256[7] memory times = [start - 1, start, start + 9, start + 10, start + 50, start + 99, start + 100];
        uint256[7] memory due = [uint256(0), 0, 0, 10e18, 50e18, 99e18, 100e18];
        for (uint256 i = 0; i < 7; ++i) eq(grants.dueAt(modelId, id, uint48(times[i])), due[i], "due");
        vm.warp(start + 30);
        vm.expectEmit(address(grants));
        emit ICodeGrants.GrantClaimed(modelId, id, AUTHOR, 30e18);
        vm.prank(OTHER);
        eq(grants.claim(modelId, id), 30e18, "whoever sends");
        eq(shares.balanceOf(AUTHOR), 30e18, "to the author");
        vm.recordLogs();
        eq(grants.claim(modelId, id), 0, "nothing more");
        eq(vm.getRecordedLogs().length, 0, "without a word");
        vm.warp(start + 5_000);
        eq(grants.claim(modelId, id), 70e18, "the rest");
        eq(shares.balanceOf(address(grants)), 0, "to the last wei");
    }

    function test_nothingIsDueWhileTheHoldersMayVeto() public {
        Grant memory grant = grantOf(AUTHOR, 100e18);
        grant.start = 0;
        (grant.cliff, grant.duration) = (0, 0);
        bytes32 id = approve(grant);
        vm.warp(block.timestamp + VETO - 1);
        eq(grants.claim(modelId, id), 0, "not yet");
        vm.warp(block.timestamp + 1);
        eq(grants.claim(modelId, id), 100e18, "all at once");
    }

    function test_whatHasNoDurationIsDueAtItsStart() public {
        Grant memory grant = grantOf(AUTHOR, 100e18);
        grant.start += 1_000;
        (grant.cliff, grant.duration) = (0, 0);
        bytes32 id = approve(grant);
        vm.warp(grant.start - 1);
        eq(grants.claim(modelId, id), 0, "not before");
        vm.warp(grant.start);
        eq(grants.claim(modelId, id), 100e18, "all at once");
    }

    /// @dev A vote on revoking that is proposed within the window and takes as long as it can is carried out before anything is due.
    function test_theVetoLeavesTimeForAWholeVote() public {
        _holder();
        bytes32 id = approve(grantOf(AUTHOR, 100e18));
        uint256 vetoEnds = grants.grantOf(modelId, id).vetoEnds;
        vm.warp(block.timestamp + WINDOW - 2);
        bytes32[] memory ids = new bytes32[](1);
        ids[0] = id;
        uint256 proposal = _proposeToRevoke(ids, "veto");
        // The quorum comes with the last second of the vote, which makes the vote as long as it can be.
        vm.warp(governor.proposalDeadline(proposal));
        governor.castVote(proposal, 1);
        vm.warp(governor.proposalDeadline(proposal) + 1);
        _carryOut(proposal, ids, "veto");
        eq(block.timestamp, vetoEnds - 1, "in time to the second");
        eq(grants.grantOf(modelId, id).amount, 0, "nothing was due");
    }

    function test_unknownGrantsPayNobody() public {
        bytes memory refusal = abi.encodeWithSelector(ICodeGrants.CodeGrantsUnknown.selector, modelId, bytes32("none"));
        vm.expectRevert(refusal);
        grants.claim(modelId, "none");
        vm.expectRevert(refusal);
        grants.dueAt(modelId, "none", 0);
        vm.expectRevert(refusal);
        vm.prank(address(timelock));
        grants.revoke(modelId, "none");
        eq(grants.grantOf(modelId, "none").author, address(0), "none");
    }

    /// @dev A grant's name says nothing under another model, whose shares lie here too.
    function test_aGrantIsNotPaidFromAnotherModelsShares() public {
        bytes32 id = approve(grantOf(AUTHOR, 100e18));
        useModel(registry.createModel(modelConfig(), "rich"));
        approveByVote(grantOf(OTHER, 100e18));
        vm.warp(block.timestamp + 1_000);
        vm.expectRevert(abi.encodeWithSelector(ICodeGrants.CodeGrantsUnknown.selector, modelId, id));
        grants.claim(modelId, id);
        eq(shares.balanceOf(address(grants)), 100e18, "untouched");
    }

    // --- revoked --------------------------------------------------------------------------------------------------------

    function test_whatIsNotDueIsBurned() public {
        Grant memory grant = grantOf(AUTHOR, 100e18);
        bytes32 id = approve(grant);
        vm.warp(grant.start + 40);
        grants.claim(modelId, id);
        vm.warp(grant.start + 60);
        vm.expectEmit(address(grants));
        emit ICodeGrants.GrantRevoked(modelId, id, AUTHOR, 60e18, 40e18);
        vm.prank(address(timelock));
        grants.revoke(modelId, id);
        eq(shares.totalSupply(), 60e18, "burned");
        eq(grants.grantOf(modelId, id).amount, 60e18, "what is left of it");
        yes(grants.grantOf(modelId, id).revoked, "revoked");
        vm.warp(grant.start + 1_000);
        eq(grants.claim(modelId, id), 20e18, "what was due stays the author's");
        eq(grants.claim(modelId, id), 0, "and no more");
        eq(shares.balanceOf(address(grants)), 0, "nothing is left over");
        eq(budgetLeft(), _budgetOfAll() - 100e18, "no budget grows by it");
    }

    function test_aVetoBurnsAll() public {
        Grant memory grant = grantOf(AUTHOR, 100e18);
        grant.start = 0;
        bytes32 id = approve(grant);
        vm.warp(block.timestamp + VETO - 1);
        vm.prank(address(timelock));
        grants.revoke(modelId, id);
        eq(shares.totalSupply(), 0, "all of it");
        vm.warp(block.timestamp + 1_000);
        eq(grants.claim(modelId, id), 0, "nothing is due");
    }

    function test_aGrantIsRevokedOnceAndOnlyWhileSomethingIsNotDue() public {
        Grant memory grant = grantOf(AUTHOR, 90e18);
        bytes32 id = approve(grant);
        bytes32 other = approve(grantOf(OTHER, 1e18));
        vm.warp(grant.start + 50);
        vm.prank(address(timelock));
        grants.revoke(modelId, id);
        _nothingToRevoke(id);
        vm.warp(grant.start + 100);
        _nothingToRevoke(id);
        _nothingToRevoke(other);
        eq(grants.claim(modelId, id), 45e18, "half of it was due");
        eq(grants.claim(modelId, other), 1e18, "all of it was");
    }

    /// @dev Two vetoes of one night: what the first did is no reason to let the rest of the second through.
    function test_aBatchRevokesWhatAnotherLeft() public {
        _holder();
        bytes32[] memory early = new bytes32[](2);
        bytes32[] memory late = new bytes32[](2);
        early[0] = approve(grantOf(AUTHOR, 10e18));
        early[1] = late[0] = approve(grantOf(OTHER, 20e18));
        late[1] = approve(grantOf(AUTHOR, 30e18));
        uint256 first = _proposeToRevoke(early, "first");
        uint256 second = _proposeToRevoke(late, "second");
        vm.warp(governor.proposalSnapshot(second) + 1);
        governor.castVote(first, 1);
        governor.castVote(second, 1);
        vm.warp(governor.proposalDeadline(second) + 1);
        _carryOut(first, early, "first");
        eq(shares.totalSupply(), 130e18, "two of three are burned");
        _carryOut(second, late, "second");
        eq(shares.totalSupply(), 100e18, "the third, and none twice");
        eq(grants.grantOf(modelId, late[1]).amount, 0, "nothing is left of it");
    }

    // --- votes ----------------------------------------------------------------------------------------------------------

    function test_unpaidSharesCountInTheQuorumAndDoNotVote() public {
        _holder();
        bytes32 id = approve(grantOf(AUTHOR, 100e18));
        vm.warp(block.timestamp + 1);
        uint256 at = block.timestamp - 1;
        eq(shares.getPastTotalSupply(at), 200e18, "supply");
        eq(governor.quorum(at), 20e18, "a tenth of all");
        eq(shares.getPastVotes(address(grants), at), 0, "no votes");
        eq(shares.delegates(address(grants)), address(0), "to nobody");
        vm.warp(block.timestamp + 200);
        vm.prank(AUTHOR);
        shares.delegate(AUTHOR);
        grants.claim(modelId, id);
        eq(shares.getVotes(AUTHOR), 100e18, "once they are paid they do");
    }

    // --- budget ---------------------------------------------------------------------------------------------------------

    function test_tooLittleBudgetIsRefusedWithHowMuchThereIs() public {
        Grant memory grant = grantOf(AUTHOR, uint128(CODE_BUDGET + 1));
        _refuse(grant, abi.encodeWithSelector(IEmission.EmissionOverBudget.selector, CODE_BUDGET + 1, CODE_BUDGET));
        (uint256 byAuthor, ) = grants.approvedIn(modelId, 1, AUTHOR);
        eq(byAuthor, 0, "nothing counts");
        vm.warp(START + EPOCH);
        approve(grant);
        eq(budgetLeft(), CODE_BUDGET - 1, "the next epoch's brought more");
    }

    function testFuzz_dueRisesFromNothingToAll(
        uint128 amount,
        uint32 cliff,
        uint32 duration,
        uint48 a,
        uint48 b
    ) public {
        Grant memory grant = grantOf(AUTHOR, uint128(bound(amount, 1, CODE_BUDGET)));
        grant.duration = uint32(bound(duration, 0, 3_650 days));
        grant.cliff = uint32(bound(cliff, 0, grant.duration));
        bytes32 id = approve(grant);
        uint256 end = uint256(grant.start) + grant.duration;
        uint48 early = uint48(bound(a, 0, end + 10));
        uint48 late = uint48(bound(b, early, end + 20));
        uint256 first = grants.dueAt(modelId, id, early);
        uint256 second = grants.dueAt(modelId, id, late);
        yes(first <= second && second <= grant.amount, "never less");
        if (early < uint256(grant.start) + grant.cliff) eq(first, 0, "before the cliff");
        uint256 vetoEnds = grants.grantOf(modelId, id).vetoEnds;
        eq(grants.dueAt(modelId, id, uint48(end < vetoEnds ? vetoEnds : end)), grant.amount, "all of it at the end");
    }

    // --- helpers --------------------------------------------------------------------------------------------------------

    /// @dev This test holds 100 shares that vote.
    function _holder() private {
        _endBootstrapOf(modelId);
        vm.prank(address(emission));
        ModelShares(address(shares)).mint(address(this), 100e18);
        shares.delegate(address(this));
        vm.warp(block.timestamp + 1);
    }

    function _budgetOfAll() private view returns (uint256) {
        return emission.epochOf(modelId, uint48(block.timestamp)) * CODE_BUDGET;
    }

    function _refuse(Grant memory grant, bytes memory reason) private {
        _refuse(grant, signedGrant(grant), reason);
    }

    function _refuse(Grant memory grant, bytes memory signatures, bytes memory reason) private {
        vm.expectRevert(reason);
        grants.approve(grant, REPOSITORY, signatures);
    }

    function _outside(bytes32 term, uint256 value, uint256 min, uint256 max) private pure returns (bytes memory) {
        return abi.encodeWithSelector(ICodeGrants.CodeGrantsTermOutOfBounds.selector, term, value, min, max);
    }

    function _outOfBounds(Grant memory grant, bytes32 term, uint256 value, uint256 min, uint256 max) private {
        _refuse(grant, _outside(term, value, min, max));
    }

    /// @dev Nothing happens, and nothing is said.
    function _nothingToRevoke(bytes32 id) private {
        (uint256 supply, bytes32 before) = (shares.totalSupply(), keccak256(abi.encode(grants.grantOf(modelId, id))));
        vm.recordLogs();
        vm.prank(address(timelock));
        grants.revoke(modelId, id);
        eq(vm.getRecordedLogs().length, 0, "without a word");
        eq(shares.totalSupply(), supply, "nothing is burned");
        yes(keccak256(abi.encode(grants.grantOf(modelId, id))) == before, "the grant stays as it was");
    }

    function _revocationOf(
        bytes32[] memory ids
    ) private view returns (address[] memory targets, uint256[] memory values, bytes[] memory calls) {
        (targets, values, calls) = (new address[](ids.length), new uint256[](ids.length), new bytes[](ids.length));
        for (uint256 i = 0; i < ids.length; ++i) {
            (targets[i], calls[i]) = (address(grants), abi.encodeCall(grants.revoke, (modelId, ids[i])));
        }
    }

    function _proposeToRevoke(bytes32[] memory ids, string memory why) private returns (uint256) {
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) = _revocationOf(ids);
        return governor.propose(targets, values, calls, why);
    }

    /// @dev As soon as the timelock allows.
    function _carryOut(uint256 proposal, bytes32[] memory ids, string memory why) private {
        (address[] memory targets, uint256[] memory values, bytes[] memory calls) = _revocationOf(ids);
        governor.queue(targets, values, calls, keccak256(bytes(why)));
        vm.warp(governor.proposalEta(proposal));
        governor.execute(targets, values, calls, keccak256(bytes(why)));
    }
}
