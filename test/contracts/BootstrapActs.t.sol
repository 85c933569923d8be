// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IBootstrap} from "../../contracts/interfaces/IBootstrap.sol";
import {Digest, ModelId, RunId} from "../../contracts/interfaces/Ids.sol";
import {IRunRegistry, Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice What the organiser of a young model does one window after it said so.
contract BootstrapActsTest is Fixture {
    uint256 private constant GRACE = 21 days;

    RunId private run;

    function setUp() public override {
        super.setUp();
        run = registerRun();
    }

    /// @dev Lost keys must not end a model.
    function test_theOrganiserReplacesValidators() public {
        bytes memory call = _exchanging(2, 1);
        uint48 readyAt = uint48(block.timestamp + WINDOW);
        vm.expectEmit(address(bootstrap));
        emit IBootstrap.ActAnnounced(modelId, address(validators), call, readyAt);
        vm.prank(ORGANISER);
        eq(bootstrap.announce(modelId, address(validators), call), readyAt, "from when on");
        eq(bootstrap.readyAtOf(bootstrap.actOf(modelId, address(validators), call)), readyAt, "as is kept");
        vm.warp(readyAt);
        vm.expectEmit(address(bootstrap));
        emit IBootstrap.ActCarriedOut(modelId, address(validators), call);
        _carryOut(address(validators), call);
        eq(validators.latestVersion(modelId), 2, "chosen");
        eq(validators.currentVersion(modelId), 1, "not in force yet");
        vm.warp(readyAt + WINDOW);
        eq(validators.currentVersion(modelId), 2, "in force");
    }

    /// @dev A third an epoch, however many acts were announced.
    function test_aThirdOfTheValidatorsAnEpochAndNoMore() public {
        bytes memory tooMany = _exchanging(3, 1);
        _announce(address(validators), tooMany);
        vm.warp(block.timestamp + WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetTooManyChanges.selector, 3, 2));
        _carryOut(address(validators), tooMany);
        yes(bootstrap.readyAtOf(bootstrap.actOf(modelId, address(validators), tooMany)) != 0, "it failed");
        _withdraw(address(validators), tooMany);
        _do(address(validators), _exchanging(2, 1));
        uint64 epoch = emission.epochOf(modelId, uint48(block.timestamp));
        bytes memory second = _exchanging(1, 2);
        _announce(address(validators), second);
        vm.warp(block.timestamp + WINDOW);
        eq(emission.epochOf(modelId, uint48(block.timestamp)), epoch, "in the same epoch");
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetChangedThisEpoch.selector, modelId, epoch));
        _carryOut(address(validators), second);
        afterEpoch(epoch);
        _carryOut(address(validators), second);
        eq(validators.latestVersion(modelId), 3, "in the next epoch");
    }

    function test_theOrganiserReplacesMaintainers() public {
        _do(address(validators), abi.encodeCall(validators.setMaintainers, (modelId, 0, addressesOf(keys), 7)));
        eq(validators.latestMaintainers(modelId), 1, "chosen");
    }

    function test_theOrganiserReplacesThePosterAndAdmitsBuilds() public {
        _do(address(runs), abi.encodeCall(runs.setPoster, (run, address(0x9057e4))));
        eq(runs.runOf(run).poster, address(0x9057e4), "poster");
        Digest build = Digest.wrap("mended");
        _do(address(runs), abi.encodeCall(runs.admitBuild, (run, build, true)));
        yes(runs.isAdmitted(run, build), "build");
        _do(address(runs), abi.encodeCall(runs.admitBuild, (run, build, false)));
        yes(!runs.isAdmitted(run, build), "no longer");
    }

    function test_theOrganiserEndsARunAndRegistersTheNext() public {
        _do(address(runs), abi.encodeCall(runs.setStatus, (run, Status.Finished)));
        yes(runs.runOf(run).status == Status.Finished, "ended");
        // At once it was the first run's alone.
        vm.expectRevert(unauthorised(modelId, ORGANISER));
        vm.prank(ORGANISER);
        runs.registerRun(modelId, "next", runConfig());
        _do(address(runs), abi.encodeCall(runs.registerRun, (modelId, "next", runConfig())));
        eq(runs.openRunOf(modelId), runs.runIdOf(modelId, "next"), "the next");
        eq(runs.runCountOf(modelId), 2, "runs");
    }

    /// @dev Else holders who pause a run have nobody claim, until bootstrap ends by time alone.
    function test_theOrganiserHasAPausedRunGoOn() public {
        bytes memory call = abi.encodeCall(runs.setStatus, (run, Status.Open));
        vm.prank(address(timelock));
        runs.setStatus(run, Status.Paused);
        _do(address(runs), call);
        yes(runs.runOf(run).status == Status.Open, "it goes on");
    }

    /// @dev Else each pause would be over as soon as it is there.
    function test_theOrganiserAnnouncesNoResumptionBeforeThePause() public {
        _refused(address(runs), abi.encodeCall(runs.setStatus, (run, Status.Open)));
    }

    /// @dev Invariant 32, of acts at a time.
    function test_ofEachKindOneActStands() public {
        bytes memory first = _postedBy(ALICE);
        bytes memory second = _postedBy(BOB);
        bytes32 act = bootstrap.actOf(modelId, address(runs), first);
        _announce(address(runs), first);
        uint256 expiry = block.timestamp + WINDOW + GRACE;
        eq(bootstrap.standingOf(modelId, address(runs), second), act, "stands");
        _stands(address(runs), second, act, expiry);
        _stands(address(runs), first, act, expiry);
        eq(bootstrap.readyAtOf(act), expiry - GRACE, "waits no longer than it did");
        vm.warp(expiry);
        _stands(address(runs), second, act, expiry);
        _carryOut(address(runs), first);
        eq(bootstrap.standingOf(modelId, address(runs), second), 0, "done");
        _announce(address(runs), second);
        _withdraw(address(runs), second);
        eq(bootstrap.standingOf(modelId, address(runs), second), 0, "withdrawn");
        _announce(address(runs), first);
    }

    function test_whatExpiredMakesRoomAndIsGone() public {
        bytes memory first = _postedBy(ALICE);
        bytes memory second = _postedBy(BOB);
        _announce(address(runs), first);
        vm.warp(block.timestamp + WINDOW + GRACE + 1);
        _announce(address(runs), second);
        eq(bootstrap.readyAtOf(bootstrap.actOf(modelId, address(runs), first)), 0, "gone");
        eq(
            bootstrap.standingOf(modelId, address(runs), first),
            bootstrap.actOf(modelId, address(runs), second),
            "another stands"
        );
        _notAnnounced(first);
        vm.warp(block.timestamp + WINDOW);
        _carryOut(address(runs), second);
    }

    /// @dev Two builds of one run, its end and that it goes on, two sets, two runs to come.
    function test_aKindIsAFunctionAndTheRunOrModelItConcerns() public {
        vm.prank(address(timelock));
        runs.setStatus(run, Status.Paused);
        _oneOf(
            address(runs),
            abi.encodeCall(runs.setStatus, (run, Status.Open)),
            abi.encodeCall(runs.setStatus, (run, Status.Finished))
        );
        _oneOf(
            address(runs),
            abi.encodeCall(runs.admitBuild, (run, Digest.wrap("a"), true)),
            abi.encodeCall(runs.admitBuild, (run, Digest.wrap("b"), false))
        );
        _oneOf(address(validators), _exchanging(1, 1), _exchanging(2, 1));
        _oneOf(
            address(validators),
            abi.encodeCall(validators.setMaintainers, (modelId, 0, addressesOf(keys), 7)),
            abi.encodeCall(validators.setMaintainers, (modelId, 0, addressesOf(keys), 6))
        );
        _oneOf(
            address(runs),
            abi.encodeCall(runs.registerRun, (modelId, "a", runConfig())),
            abi.encodeCall(runs.registerRun, (modelId, "b", runConfig()))
        );
        // All of these stand at once, and so does one of another kind.
        _announce(address(runs), _postedBy(ALICE));
    }

    function test_twoRunsTwoActs() public {
        _do(address(runs), abi.encodeCall(runs.setStatus, (run, Status.Finished)));
        _do(address(runs), abi.encodeCall(runs.registerRun, (modelId, "next", runConfig())));
        _announce(address(runs), _postedBy(ALICE));
        RunId next = runs.runIdOf(modelId, "next");
        _announce(address(runs), abi.encodeCall(runs.setPoster, (next, ALICE)));
    }

    /// @dev Bytes that nobody reads would make many acts of one.
    function testFuzz_anActHoldsItsArgumentsAndNothingElse(uint8 which, bytes calldata behind) public {
        vm.assume(behind.length != 0);
        (address target, bytes memory call) = _oneOfSix(which);
        _refused(target, bytes.concat(call, behind));
        _announce(target, call);
    }

    /// @dev The same lists where no encoder lays them.
    function test_listsLieWhereTheAbiLaysThem() public {
        bytes memory members = abi.encode(uint256(0), addressesOf(keys));
        // From behind the offset on: a word in between, the length, the members.
        bytes memory moved = bytes.concat(
            abi.encode(modelId, uint256(0), uint256(0xa0), uint256(7), uint256(0)),
            _from(members, 0x40)
        );
        _refused(address(validators), bytes.concat(IValidatorSet.setMaintainers.selector, moved));
        bytes memory config = abi.encode(runConfig());
        moved = bytes.concat(abi.encode(modelId, bytes32("next"), uint256(0x80), uint256(0)), _from(config, 0x20));
        _refused(address(runs), bytes.concat(IRunRegistry.registerRun.selector, moved));
    }

    function test_whatCannotBeDecodedIsNoAct() public {
        uint256 dirty = uint256(uint160(ALICE)) | (1 << 160);
        _undecodable(abi.encodeWithSelector(runs.setPoster.selector, run, dirty));
        _undecodable(abi.encodeWithSelector(runs.setPoster.selector, run));
        _undecodable(abi.encodeWithSelector(runs.setPoster.selector));
        _undecodable(abi.encodeWithSelector(runs.admitBuild.selector, run, bytes32("build"), 2));
        _undecodable(abi.encodeWithSelector(runs.setStatus.selector, run, 3));
    }

    /// @dev Not what holders decide, nor what pays anybody.
    function test_theOrganiserAnnouncesNothingElse() public {
        _refused(address(runs), abi.encodeCall(runs.setParams, (run, 1, params())));
        _refused(address(runs), abi.encodeCall(runs.setStatus, (run, Status.Paused)));
        _refused(address(emission), abi.encodeCall(emission.nameSuccessor, (modelId, 1, ORGANISER)));
        _refused(address(grants), abi.encodeCall(grants.setCaps, (modelId, 0, 1e18, 1e18)));
        _refused(address(timelock), abi.encodeCall(timelock.updateDelay, (4)));
        _refused(address(validators), abi.encodeCall(validators.consent, (modelId, true)));
        _refused(address(bootstrap), abi.encodeCall(bootstrap.end, (modelId)));
        // As if the other contract had such a function.
        _refused(address(runs), _exchanging(1, 1));
        _refused(address(validators), abi.encodeCall(runs.setPoster, (run, ORGANISER)));
        _refused(address(emission), abi.encodeCall(runs.setPoster, (run, ORGANISER)));
        _refused(ORGANISER, abi.encodeCall(runs.registerRun, (modelId, "next", runConfig())));
        _refused(address(runs), "");
        _refused(address(validators), hex"aabbcc");
    }

    function testFuzz_theOrganiserAnnouncesNothingElse(address target, bytes4 selector, bytes calldata rest) public {
        vm.assume(target != address(runs) && target != address(validators));
        _refused(target, bytes.concat(selector, abi.encode(modelId), rest));
    }

    function testFuzz_ofTheTwoContractsTheseFunctionsAlone(bool ofRuns, bytes4 selector, bytes32 first) public {
        bytes4[6] memory allowed = [
            IValidatorSet.setValidators.selector,
            IValidatorSet.setMaintainers.selector,
            IRunRegistry.registerRun.selector,
            IRunRegistry.setPoster.selector,
            IRunRegistry.admitBuild.selector,
            IRunRegistry.setStatus.selector
        ];
        for (uint256 i = 0; i < allowed.length; ++i) vm.assume(selector != allowed[i]);
        _refused(ofRuns ? address(runs) : address(validators), bytes.concat(selector, abi.encode(first, 1)));
    }

    /// @dev RunRegistry and ValidatorSet take whatever comes from Bootstrap.
    function test_noOrganiserTouchesAnotherModel() public {
        ModelId other = registry.createModel(modelConfig(), "other");
        vm.prank(ORGANISER);
        RunId theirs = runs.registerRun(other, "run", runConfig());
        address[] memory members = addressesOf(keys);
        _refused(address(validators), abi.encodeCall(validators.setValidators, (other, 1, members, 7)));
        _refused(address(validators), abi.encodeCall(validators.setMaintainers, (other, 0, members, 7)));
        _refused(address(runs), abi.encodeCall(runs.registerRun, (other, "next", runConfig())));
        _refused(address(runs), abi.encodeCall(runs.setPoster, (theirs, POSTER)));
        _refused(address(runs), abi.encodeCall(runs.admitBuild, (theirs, Digest.wrap("build"), true)));
        _refused(address(runs), abi.encodeCall(runs.setStatus, (theirs, Status.Finished)));
        // What one model's organiser announced another's does not carry out.
        bytes memory call = _postedBy(ALICE);
        _announce(address(runs), call);
        vm.warp(block.timestamp + WINDOW);
        bytes32 act = bootstrap.actOf(other, address(runs), call);
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.BootstrapNotAnnounced.selector, act));
        vm.prank(ORGANISER);
        bootstrap.carryOut(other, address(runs), call);
    }

    function test_nobodyElseAnnouncesWithdrawsOrCarriesOut() public {
        bytes memory call = _postedBy(ALICE);
        _announce(address(runs), call);
        vm.warp(block.timestamp + WINDOW);
        address[4] memory others = [ALICE, POSTER, address(timelock), address(governor)];
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory refusal = abi.encodeWithSelector(
                IBootstrap.BootstrapNotOrganiser.selector,
                modelId,
                others[i]
            );
            vm.startPrank(others[i]);
            vm.expectRevert(refusal);
            bootstrap.announce(modelId, address(runs), call);
            vm.expectRevert(refusal);
            bootstrap.withdraw(modelId, address(runs), call);
            vm.expectRevert(refusal);
            bootstrap.carryOut(modelId, address(runs), call);
            vm.stopPrank();
        }
    }

    function test_theOrganiserDoesWhatItAnnouncedAndNothingElse() public {
        bytes memory call = _postedBy(ALICE);
        _notAnnounced(call);
        _announce(address(runs), call);
        vm.warp(block.timestamp + WINDOW);
        _notAnnounced(_postedBy(ORGANISER));
        _carryOut(address(runs), call);
        _notAnnounced(call);
    }

    function test_oneWindowAheadAndNotForEver() public {
        bytes memory call = _postedBy(ALICE);
        uint256 readyAt = block.timestamp + WINDOW;
        _announce(address(runs), call);
        vm.warp(readyAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.BootstrapTooEarly.selector, readyAt));
        _carryOut(address(runs), call);
        vm.warp(readyAt + GRACE + 1);
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.BootstrapExpired.selector, readyAt + GRACE));
        _carryOut(address(runs), call);
        // Announced anew it waits anew.
        readyAt = block.timestamp + WINDOW;
        _announce(address(runs), call);
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.BootstrapTooEarly.selector, readyAt));
        _carryOut(address(runs), call);
        vm.warp(readyAt + GRACE);
        _carryOut(address(runs), call);
        eq(runs.runOf(run).poster, ALICE, "at the last second");
    }

    function test_theOrganiserWithdraws() public {
        bytes memory call = _postedBy(ALICE);
        bytes32 act = bootstrap.actOf(modelId, address(runs), call);
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.BootstrapNotAnnounced.selector, act));
        vm.prank(ORGANISER);
        bootstrap.withdraw(modelId, address(runs), call);
        _announce(address(runs), call);
        vm.expectEmit(address(bootstrap));
        emit IBootstrap.ActWithdrawn(modelId, address(runs), call);
        vm.prank(ORGANISER);
        bootstrap.withdraw(modelId, address(runs), call);
        vm.warp(block.timestamp + WINDOW);
        _notAnnounced(call);
    }

    /// @dev Invariant 32, of what was announced.
    function test_nothingThatWasAnnouncedOutlivesTheBootstrap() public {
        bytes memory call = _postedBy(ALICE);
        uint256 end = START + EPOCHS_PER_YEAR * EPOCH;
        vm.warp(end - WINDOW - 1);
        _announce(address(runs), call);
        vm.warp(end - 1);
        uint256 before = vm.snapshotState();
        _carryOut(address(runs), call);
        vm.revertToState(before);
        // Due, though nobody has said so yet.
        vm.warp(end);
        _over(call);
        bootstrap.end(modelId);
        _over(call);
    }

    /// @dev Whoever calls, the contracts themselves obey the timelock and Bootstrap alone.
    function test_onlyTheTimelockAndBootstrapAreObeyed() public {
        address[] memory members = addressesOf(keys);
        address[4] memory others = [ORGANISER, address(rewards), address(governor), address(registry)];
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory refusal = unauthorised(modelId, others[i]);
            vm.startPrank(others[i]);
            vm.expectRevert(refusal);
            validators.setValidators(modelId, 1, members, 7);
            vm.expectRevert(refusal);
            validators.setMaintainers(modelId, 0, members, 7);
            vm.expectRevert(refusal);
            runs.setPoster(run, ALICE);
            vm.expectRevert(refusal);
            runs.admitBuild(run, Digest.wrap("build"), true);
            vm.expectRevert(refusal);
            runs.setStatus(run, Status.Finished);
            vm.stopPrank();
        }
        vm.expectRevert(unauthorised(modelId, address(bootstrap)));
        vm.prank(address(bootstrap));
        runs.setParams(run, 1, params());
    }

    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    function _postedBy(address poster) private view returns (bytes memory) {
        return abi.encodeCall(runs.setPoster, (run, poster));
    }

    /// @dev An act of each function that may be announced.
    function _oneOfSix(uint8 which) private returns (address target, bytes memory call) {
        which %= 6;
        target = which < 2 ? address(validators) : address(runs);
        if (which == 0) call = _exchanging(1, 1);
        if (which == 1) call = abi.encodeCall(validators.setMaintainers, (modelId, 0, addressesOf(keys), 7));
        if (which == 2) call = abi.encodeCall(runs.registerRun, (modelId, "next", runConfig()));
        if (which == 3) call = _postedBy(ALICE);
        if (which == 4) call = abi.encodeCall(runs.admitBuild, (run, Digest.wrap("build"), true));
        if (which == 5) call = abi.encodeCall(runs.setStatus, (run, Status.Finished));
    }

    function _from(bytes memory data, uint256 start) private pure returns (bytes memory rest) {
        rest = new bytes(data.length - start);
        for (uint256 i = 0; i < rest.length; ++i) rest[i] = data[start + i];
    }

    /// @dev Some members of the newest set are exchanged for such as have consented.
    function _exchanging(uint256 count, uint32 replaces) private returns (bytes memory) {
        uint256[] memory next = ascendingKeys(1_000, 7);
        uint256[] memory fresh = ascendingKeys(2_000 + replaces, count);
        for (uint256 i = 0; i < count; ++i) next[i + 2 * (replaces - 1)] = fresh[i];
        if (replaces == 2) {
            uint256[] memory earlier = ascendingKeys(2_001, 2);
            (next[0], next[1]) = (earlier[0], earlier[1]);
        }
        address[] memory members = _ascending(addressesOf(next));
        consentAll(addressesOf(fresh));
        return abi.encodeCall(validators.setValidators, (modelId, replaces, members, 7));
    }

    function _ascending(address[] memory list) private pure returns (address[] memory) {
        for (uint256 i = 1; i < list.length; ++i) {
            for (uint256 j = i; j > 0 && list[j - 1] > list[j]; --j) {
                (list[j - 1], list[j]) = (list[j], list[j - 1]);
            }
        }
        return list;
    }

    function _announce(address target, bytes memory call) private {
        vm.prank(ORGANISER);
        bootstrap.announce(modelId, target, call);
    }

    function _withdraw(address target, bytes memory call) private {
        vm.prank(ORGANISER);
        bootstrap.withdraw(modelId, target, call);
    }

    function _carryOut(address target, bytes memory call) private {
        vm.prank(ORGANISER);
        bootstrap.carryOut(modelId, target, call);
    }

    function _do(address target, bytes memory call) private {
        _announce(target, call);
        vm.warp(block.timestamp + WINDOW);
        _carryOut(target, call);
    }

    function _refused(address target, bytes memory call) private {
        bytes4 selector = call.length < 4 ? bytes4(0) : bytes4(call);
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.BootstrapActRefused.selector, target, selector));
        _announce(target, call);
    }

    function _undecodable(bytes memory call) private {
        vm.expectRevert(bytes(""));
        _announce(address(runs), call);
    }

    function _stands(address target, bytes memory call, bytes32 act, uint256 expiry) private {
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.BootstrapActStands.selector, act, expiry));
        _announce(target, call);
    }

    /// @dev Both may be announced, not both at once.
    function _oneOf(address target, bytes memory first, bytes memory second) private {
        _announce(target, second);
        _withdraw(target, second);
        _announce(target, first);
        bytes32 act = bootstrap.actOf(modelId, target, first);
        _stands(target, second, act, block.timestamp + WINDOW + GRACE);
    }

    function _notAnnounced(bytes memory call) private {
        bytes32 act = bootstrap.actOf(modelId, address(runs), call);
        vm.expectRevert(abi.encodeWithSelector(IBootstrap.BootstrapNotAnnounced.selector, act));
        _carryOut(address(runs), call);
    }

    function _over(bytes memory call) private {
        bytes memory refusal = abi.encodeWithSelector(IBootstrap.BootstrapOver.selector, modelId);
        vm.startPrank(ORGANISER);
        vm.expectRevert(refusal);
        bootstrap.carryOut(modelId, address(runs), call);
        vm.expectRevert(refusal);
        bootstrap.announce(modelId, address(runs), call);
        vm.stopPrank();
    }
}
