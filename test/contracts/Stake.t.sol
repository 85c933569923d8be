// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Outcome} from "../../contracts/interfaces/IDisputes.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {IStakeManager, Role, SlashTerms} from "../../contracts/interfaces/IStakeManager.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {COMPUTE, REVENUE} from "../../contracts/interfaces/Kinds.sol";
import {StakeManager} from "../../contracts/staking/StakeManager.sol";
import {Stakes} from "./support/Stakes.sol";

/// @notice Stake is put up, leaves after a while, and is paid to whom its account names.
contract StakeTest is Stakes {
    function test_anyoneDepositsForAnAccount() public {
        vm.expectEmit(address(stakes));
        emit IStakeManager.StakeDeposited(modelId, WORKER, worker, address(this), 5 ether);
        put(WORKER, worker, 5 ether);
        vm.deal(BOB, 1 ether);
        vm.prank(BOB);
        stakes.deposit{value: 1 ether}(modelId, WORKER, worker);
        holds(WORKER, worker, 6 ether, 0);
        eq(address(stakes).balance, 6 ether, "lies here");
        holds(VALIDATOR, worker, 0, 0);
        holds(WORKER, validator, 0, 0);
        useModel(registry.createModel(modelConfig(), "twin"));
        holds(WORKER, worker, 0, 0);
        put(WORKER, worker, 1);
        holds(WORKER, worker, 1, 0);
    }

    function test_aDepositNamesAModelAnAccountAndAnAmount() public {
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerUnknownModel.selector, NO_MODEL));
        stakes.deposit{value: 1}(NO_MODEL, WORKER, worker);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerUnknownModel.selector, NO_MODEL));
        stakes.withdrawalDelay(NO_MODEL, WORKER);
        vm.expectRevert(_zero("account"));
        stakes.deposit{value: 1}(modelId, WORKER, address(0));
        vm.expectRevert(_zero("amount"));
        stakes.deposit(modelId, WORKER, worker);
        (bool done, ) = address(stakes).call{value: 1}("");
        yes(!done, "nor does it take what is for nobody");
    }

    /// @dev No wei vanishes where a word is full.
    function test_aDepositFitsItsBits() public {
        put(WORKER, worker, 2 ** 96 - 1);
        vm.expectRevert();
        put(WORKER, worker, 1);
        vm.expectRevert(abi.encodeWithSelector(SafeCast.SafeCastOverflowedUintDowncast.selector, 96, 2 ** 96));
        put(WORKER, validator, 2 ** 96);
        holds(WORKER, worker, 2 ** 96 - 1, 0);
        request(WORKER, worker, 2 ** 96 - 1);
        put(WORKER, worker, 1);
        vm.expectRevert();
        request(WORKER, worker, 1);
    }

    function test_whatLeavesAdmitsNobody() public {
        put(WORKER, worker, 10);
        eq(stakes.leavesAt(modelId, WORKER, worker), 0, "nothing leaves");
        vm.expectEmit(address(stakes));
        emit IStakeManager.WithdrawalRequested(modelId, WORKER, worker, 4, 4);
        request(WORKER, worker, 4);
        holds(WORKER, worker, 6, 4);
        eq(stakes.stakeOf(modelId, WORKER, worker).requestedAt, block.timestamp, "since");
        eq(stakes.leavesAt(modelId, WORKER, worker), block.timestamp + LEAVE, "until");
        eq(stakes.withdrawalDelay(modelId, WORKER), LEAVE, "so long");
        eq(stakes.withdrawalDelay(modelId, VALIDATOR), RETIRE, "a validator longer");
        vm.expectEmit(address(stakes));
        emit IStakeManager.WithdrawalRequested(modelId, WORKER, worker, 6, 10);
        request(WORKER, worker, 6);
        holds(WORKER, worker, 0, 10);
    }

    function test_onlyWhatIsThereLeaves() public {
        put(WORKER, worker, 10);
        vm.expectRevert(_zero("amount"));
        request(WORKER, worker, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerTooLittle.selector, 11, 10));
        request(WORKER, worker, 11);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerTooLittle.selector, 1, 0));
        request(VALIDATOR, worker, 1);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerTooLittle.selector, 1, 0));
        request(WORKER, BOB, 1);
        refuseTake(WORKER, worker, _nothing(WORKER, worker));
        refuseTake(VALIDATOR, BOB, _nothing(VALIDATOR, BOB));
    }

    function test_whatHasWaitedIsPaidOnce() public {
        put(WORKER, worker, 10);
        request(WORKER, worker, 4);
        uint256 due = block.timestamp + LEAVE;
        vm.warp(due - 1);
        refuseTake(WORKER, worker, abi.encodeWithSelector(IStakeManager.StakeManagerTooEarly.selector, uint48(due)));
        vm.warp(due);
        vm.expectRevert(_zero("to"));
        vm.prank(worker);
        stakes.withdraw(modelId, WORKER, payable(0));
        vm.expectEmit(address(stakes));
        emit IStakeManager.StakeWithdrawn(modelId, WORKER, worker, PAYEE, 4);
        eq(take(WORKER, worker), 4, "what left");
        eq(PAYEE.balance, 4, "paid");
        eq(address(stakes).balance, 6, "the rest");
        holds(WORKER, worker, 6, 0);
        refuseTake(WORKER, worker, _nothing(WORKER, worker));
    }

    /// @dev Else what is asked for later would leave at once.
    function test_aLaterRequestStartsAnew() public {
        put(WORKER, worker, 10);
        request(WORKER, worker, 4);
        vm.warp(block.timestamp + LEAVE);
        request(WORKER, worker, 1);
        uint48 due = uint48(block.timestamp + LEAVE);
        refuseTake(WORKER, worker, abi.encodeWithSelector(IStakeManager.StakeManagerTooEarly.selector, due));
        vm.warp(due);
        eq(take(WORKER, worker), 5, "both");
    }

    function test_aStrangersDustDelaysNobody() public {
        put(WORKER, worker, 10);
        request(WORKER, worker, 10);
        vm.warp(block.timestamp + LEAVE);
        put(WORKER, worker, 1);
        eq(take(WORKER, worker), 10, "all that left");
        holds(WORKER, worker, 1, 0);
    }

    function test_longerVotesKeepItLonger() public {
        put(WORKER, worker, 10);
        request(WORKER, worker, 10);
        uint256 since = block.timestamp;
        _pass(address(governor), abi.encodeCall(governor.setVotingPeriod, (60)));
        eq(stakes.leavesAt(modelId, WORKER, worker), since + LEAVE + 54, "later");
        vm.warp(since + LEAVE + 53);
        refuseTake(
            WORKER,
            worker,
            abi.encodeWithSelector(IStakeManager.StakeManagerTooEarly.selector, uint48(since + LEAVE + 54))
        );
        vm.warp(since + LEAVE + 54);
        eq(take(WORKER, worker), 10, "paid");
    }

    // --- validators -----------------------------------------------------------------------------------------------------

    /// @dev What it signed while its set was in force can be posted until then, and disputed after.
    function test_aValidatorsTimeRunsFromASetWithoutIt() public {
        put(VALIDATOR, validator, 10);
        request(VALIDATOR, validator, 10);
        vm.warp(block.timestamp + RETIRE);
        eq(stakes.leavesAt(modelId, VALIDATOR, validator), type(uint48).max, "nobody knows");
        refuseTake(VALIDATOR, validator, _still());
        _choose(1);
        uint256 from = block.timestamp + WINDOW;
        eq(stakes.leavesAt(modelId, VALIDATOR, validator), from + RETIRE, "from then on");
        vm.warp(from + RETIRE - 1);
        refuseTake(
            VALIDATOR,
            validator,
            abi.encodeWithSelector(IStakeManager.StakeManagerTooEarly.selector, uint48(from + RETIRE))
        );
        vm.warp(from + RETIRE);
        uint256 before = vm.snapshotState();
        eq(take(VALIDATOR, validator), 10, "paid");
        vm.revertToState(before);
        vm.prank(validator);
        validators.consent(modelId, true);
        _choose(0);
        refuseTake(VALIDATOR, validator, _still());
    }

    /// @dev Else a majority would name it again, a block before its stake leaves, for ever.
    function test_nobodyIsHeldAsAValidatorUnasked() public {
        put(VALIDATOR, validator, 10);
        request(VALIDATOR, validator, 10);
        _choose(1);
        vm.warp(block.timestamp + WINDOW + RETIRE - 1);
        uint32 newest = validators.latestVersion(modelId);
        address[] memory all = addressesOf(keys);
        bytes memory refusal = abi.encodeWithSelector(IValidatorSet.ValidatorSetNoConsent.selector, modelId, validator);
        vm.expectRevert(refusal);
        vm.prank(address(timelock));
        validators.setValidators(modelId, newest, all, 5);
        vm.warp(block.timestamp + 1);
        eq(take(VALIDATOR, validator), 10, "paid");
    }

    function test_aValidatorThatLeftBeforeWaitsFromItsRequest() public {
        put(VALIDATOR, validator, 10);
        _choose(1);
        vm.warp(block.timestamp + WINDOW + 100);
        request(VALIDATOR, validator, 10);
        eq(stakes.leavesAt(modelId, VALIDATOR, validator), block.timestamp + RETIRE, "from the request on");
        put(VALIDATOR, worker, 5);
        request(VALIDATOR, worker, 5);
        eq(stakes.leavesAt(modelId, VALIDATOR, worker), block.timestamp + RETIRE, "who never was one too");
        put(WORKER, vm.addr(keys[1]), 5);
        request(WORKER, vm.addr(keys[1]), 5);
        eq(stakes.leavesAt(modelId, WORKER, vm.addr(keys[1])), block.timestamp + LEAVE, "and its stake as a worker");
    }

    // --- disputes -------------------------------------------------------------------------------------------------------

    function test_noValidatorIsPaidWhileARootIsDisputed() public {
        _leaving(VALIDATOR);
        book.set(modelId, COMPUTE, 2, Outcome.Open);
        refuseTake(VALIDATOR, worker, abi.encodeWithSelector(IStakeManager.StakeManagerDisputed.selector, 2));
        book.set(modelId, COMPUTE, 2, Outcome.Void);
        uint256 until = block.timestamp + WINDOW + VOTE;
        vm.warp(until - 1);
        refuseTake(
            VALIDATOR,
            worker,
            abi.encodeWithSelector(IStakeManager.StakeManagerDisputedLately.selector, uint48(until))
        );
        vm.warp(until);
        eq(take(VALIDATOR, worker), 10, "paid");
    }

    /// @dev A quorum lies about money as about shares, and its vote may outlast what settings say by two changes of the lead.
    function test_noValidatorIsPaidWhileARootOfRevenueIsDisputed() public {
        _leaving(VALIDATOR);
        book.set(modelId, REVENUE, 3, Outcome.Open);
        refuseTake(VALIDATOR, worker, abi.encodeWithSelector(IStakeManager.StakeManagerDisputed.selector, 3));
        book.set(modelId, REVENUE, 3, Outcome.Void);
        uint256 until = block.timestamp + WINDOW + VOTE;
        vm.warp(until - 1);
        refuseTake(
            VALIDATOR,
            worker,
            abi.encodeWithSelector(IStakeManager.StakeManagerDisputedLately.selector, uint48(until))
        );
        vm.warp(until);
        eq(take(VALIDATOR, worker), 10, "paid");
    }

    /// @dev Then nobody is punished for it.
    function test_aDisputeThatVoidedNothingHoldsNobodyAfterItsEnd() public {
        _leaving(VALIDATOR);
        uint256 before = vm.snapshotState();
        book.set(modelId, COMPUTE, 2, Outcome.Stands);
        eq(take(VALIDATOR, worker), 10, "it stands");
        vm.revertToState(before);
        book.set(modelId, COMPUTE, 2, Outcome.Undecided);
        eq(take(VALIDATOR, worker), 10, "nobody decided");
    }

    /// @dev A dispute costs no worker a wei, and whoever disputes would hold all of them.
    function test_noDisputeHoldsAWorker() public {
        _leaving(WORKER);
        uint256 before = vm.snapshotState();
        book.set(modelId, COMPUTE, 2, Outcome.Open);
        eq(take(WORKER, worker), 10, "while it is open");
        vm.revertToState(before);
        book.set(modelId, COMPUTE, 2, Outcome.Void);
        eq(take(WORKER, worker), 10, "after it");
    }

    function test_anotherModelsDisputeHoldsNobody() public {
        _leaving(VALIDATOR);
        book.set(NO_MODEL, COMPUTE, 1, Outcome.Open);
        book.set(modelId, COMPUTE + 1, 1, Outcome.Open);
        eq(take(VALIDATOR, worker), 10, "paid");
    }

    // --- payees ---------------------------------------------------------------------------------------------------------

    /// @dev The key that stakes lies on a machine that runs others' programs.
    function test_whoStealsAKeyIsNotPaid() public {
        _setPayee(WORKER, PAYEE);
        _leaving(WORKER);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerNotPayee.selector, PAYEE));
        vm.prank(worker);
        stakes.withdraw(modelId, WORKER, payable(BOB));
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerPayeeSet.selector, PAYEE));
        vm.prank(worker);
        stakes.setPayee(modelId, WORKER, BOB);
        eq(take(WORKER, worker), 10, "the one alone");
    }

    function test_aPayeeIsSetOnceForEachModelAndRole() public {
        vm.expectRevert(_zero("payee"));
        vm.prank(worker);
        stakes.setPayee(modelId, WORKER, address(0));
        vm.expectEmit(address(stakes));
        emit IStakeManager.PayeeSet(modelId, WORKER, worker, PAYEE);
        _setPayee(WORKER, PAYEE);
        eq(stakes.stakeOf(modelId, WORKER, worker).payee, PAYEE, "said");
        _setPayee(VALIDATOR, BOB);
        eq(stakes.stakeOf(modelId, VALIDATOR, worker).payee, BOB, "another role");
        eq(stakes.stakeOf(modelId, WORKER, validator).payee, address(0), "another account");
        useModel(registry.createModel(modelConfig(), "twin"));
        _setPayee(WORKER, CAROL);
        eq(stakes.stakeOf(modelId, WORKER, worker).payee, CAROL, "another model");
    }

    // --- receivers ------------------------------------------------------------------------------------------------------

    function test_whoRefusesCoinsLosesNothing() public {
        put(WORKER, worker, 10);
        request(WORKER, worker, 10);
        vm.warp(block.timestamp + LEAVE);
        vm.expectRevert(abi.encodeWithSelector(Errors.FailedCall.selector));
        vm.prank(worker);
        stakes.withdraw(modelId, WORKER, payable(address(book)));
        eq(take(WORKER, worker), 10, "all of it");
    }

    function test_whoCallsBackIsPaidOnce() public {
        Reentrant hostile = new Reentrant(stakes, modelId);
        put(WORKER, address(hostile), 10);
        put(WORKER, worker, 10);
        hostile.request(10);
        vm.warp(block.timestamp + LEAVE);
        hostile.withdraw();
        yes(hostile.called(), "it did");
        eq(address(hostile).balance, 10, "once");
        eq(address(stakes).balance, 10, "what is another's lies here");
    }

    // --- terms ----------------------------------------------------------------------------------------------------------

    function test_holdersSetWhatOffencesCostWithinBounds() public {
        SlashTerms memory terms = stakes.termsOf(modelId);
        _are(terms, 5_000, 1_000, 1_000);
        _set(1_000, 100, 0, 1);
        _set(10_000, 1_000, 5_000, 2);
        _refuse(999, 100, 0, "conflictBps", 999, 1_000, 10_000);
        _refuse(10_001, 100, 0, "conflictBps", 10_001, 1_000, 10_000);
        _refuse(1_000, 99, 0, "voidedBps", 99, 100, 1_000);
        _refuse(1_000, 1_001, 0, "voidedBps", 1_001, 100, 1_000);
        _refuse(1_000, 100, 5_001, "rulingBps", 5_001, 0, 5_000);
        _are(stakes.termsOf(modelId), 10_000, 1_000, 5_000);
        _are(stakes.termsOf(NO_MODEL), 5_000, 1_000, 1_000);
        vm.expectRevert(unauthorised(modelId, ORGANISER));
        vm.prank(ORGANISER);
        stakes.setTerms(modelId, 2, 1_000, 100, 0);
    }

    /// @dev Two votes on the same terms: the second would undo the first unseen.
    function test_ofTwoDecisionsOnTheSameTermsTheFirstHolds() public {
        setTerms(1_000, 100, 0);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerTermsReplaced.selector, modelId, 0, 1));
        vm.prank(address(timelock));
        stakes.setTerms(modelId, 0, 10_000, 1_000, 5_000);
        vm.expectRevert(abi.encodeWithSelector(IStakeManager.StakeManagerTermsReplaced.selector, modelId, 2, 1));
        vm.prank(address(timelock));
        stakes.setTerms(modelId, 2, 10_000, 1_000, 5_000);
        _are(stakes.termsOf(modelId), 1_000, 100, 0);
    }

    // --- helpers --------------------------------------------------------------------------------------------------------

    function _leaving(Role role) private {
        put(role, worker, 10);
        request(role, worker, 10);
        vm.warp(block.timestamp + RETIRE);
    }

    function _setPayee(Role role, address payee) private {
        vm.prank(worker);
        stakes.setPayee(modelId, role, payee);
    }

    function _set(uint16 conflictBps, uint16 voidedBps, uint16 rulingBps, uint32 version) private {
        uint32 latest = stakes.termsOf(modelId).version;
        vm.expectEmit(address(stakes));
        emit IStakeManager.SlashTermsSet(modelId, SlashTerms(conflictBps, voidedBps, rulingBps, version));
        vm.prank(address(timelock));
        stakes.setTerms(modelId, latest, conflictBps, voidedBps, rulingBps);
        eq(stakes.termsOf(modelId).version, version, "version");
        _are(stakes.termsOf(modelId), conflictBps, voidedBps, rulingBps);
    }

    function _refuse(
        uint16 conflictBps,
        uint16 voidedBps,
        uint16 rulingBps,
        bytes32 term,
        uint256 value,
        uint256 min,
        uint256 max
    ) private {
        vm.expectRevert(
            abi.encodeWithSelector(IStakeManager.StakeManagerTermOutOfBounds.selector, term, value, min, max)
        );
        vm.prank(address(timelock));
        stakes.setTerms(modelId, 2, conflictBps, voidedBps, rulingBps);
    }

    function _are(SlashTerms memory terms, uint256 conflictBps, uint256 voidedBps, uint256 rulingBps) private pure {
        eq(terms.conflictBps, conflictBps, "conflict");
        eq(terms.voidedBps, voidedBps, "voided");
        eq(terms.rulingBps, rulingBps, "ruling");
    }

    /// @dev A set of all validators from the one of this number on.
    function _choose(uint256 first) private {
        if (first == 0) vm.warp(block.timestamp + EPOCH);
        uint256[] memory some = new uint256[](keys.length - first);
        for (uint256 i = 0; i < some.length; ++i) some[i] = keys[first + i];
        uint32 newest = validators.latestVersion(modelId);
        vm.prank(address(timelock));
        validators.setValidators(modelId, newest, addressesOf(some), 5);
    }

    function _zero(bytes32 field) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStakeManager.StakeManagerZero.selector, field);
    }

    function _still() private view returns (bytes memory) {
        return abi.encodeWithSelector(IStakeManager.StakeManagerStillValidator.selector, modelId, validator);
    }

    function _nothing(Role role, address account) private view returns (bytes memory) {
        return abi.encodeWithSelector(IStakeManager.StakeManagerNothingLeaving.selector, modelId, role, account);
    }
}

/// @notice Withdraws again whenever it is paid.
contract Reentrant {
    StakeManager private immutable STAKES;
    ModelId private immutable MODEL;
    bool public called;

    constructor(StakeManager stakes, ModelId modelId) {
        (STAKES, MODEL) = (stakes, modelId);
    }

    receive() external payable {
        called = true;
        try STAKES.withdraw(MODEL, Role.Worker, payable(address(this))) {} catch {}
        STAKES.collectFees(payable(address(this)));
    }

    function request(uint96 amount) external {
        STAKES.requestWithdrawal(MODEL, Role.Worker, amount);
    }

    function withdraw() external {
        STAKES.withdraw(MODEL, Role.Worker, payable(address(this)));
    }
}
