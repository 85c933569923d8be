// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, ModelId, RunId} from "../../contracts/interfaces/Ids.sol";
import {IRunRegistry, RunConfig, Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {RunParams} from "../../contracts/interfaces/RunParams.sol";
import {Fixture} from "./support/Fixture.sol";
import {FIELDS, ParameterTable} from "./support/ParameterTable.sol";

contract GovernRunTest is Fixture {
    RunId private runId;

    function setUp() public override {
        super.setUp();
        runId = registerRun();
    }

    function test_onlyTheTimelockGoverns() public {
        address[4] memory others = [ORGANISER, POSTER, address(governor), address(registry)];
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory refusal = unauthorised(modelId, others[i]);
            vm.startPrank(others[i]);
            vm.expectRevert(refusal);
            runs.setParams(runId, 1, params());
            vm.expectRevert(refusal);
            runs.admitBuild(runId, Digest.wrap("tpu"), true);
            vm.expectRevert(refusal);
            runs.setPoster(runId, others[i]);
            vm.expectRevert(refusal);
            runs.setStatus(runId, Status.Paused);
            vm.stopPrank();
        }
    }

    function test_anotherModelsTimelockDoesNotGovern() public {
        ModelId other = registry.createModel(modelConfig(), "other");
        address theirs = registry.timelockOf(other);
        vm.expectRevert(unauthorised(modelId, theirs));
        vm.prank(theirs);
        runs.setParams(runId, 1, params());
    }

    function test_versionsCountUpAndKeepTheirTime() public {
        RunParams memory p = params();
        p.innerSteps = 128;
        vm.warp(START + 100);
        vm.prank(address(timelock));
        eq(runs.setParams(runId, 1, p), 2, "version");
        p.innerSteps = 256;
        vm.warp(START + 200);
        vm.startPrank(address(timelock));
        eq(runs.setParams(runId, 2, p), 3, "version");
        p.innerSteps = 512;
        eq(runs.setParams(runId, 3, p), 4, "a second one within the second");
        vm.stopPrank();

        eq(runs.versionAt(runId, uint48(START - 1)), 0, "before");
        eq(runs.versionAt(runId, uint48(START)), 1, "from registration");
        eq(runs.versionAt(runId, uint48(START + 99)), 1, "until the change");
        eq(runs.versionAt(runId, uint48(START + 100)), 2, "from the change");
        eq(runs.versionAt(runId, uint48(START + 199)), 2, "until the next");
        eq(runs.versionAt(runId, uint48(START + 999)), 4, "the last of that second");
        eq(runs.paramsOf(runId, 2).innerSteps, 128, "history");
        eq(runs.paramsOf(runId, 4).innerSteps, 512, "latest");
        eq(runs.paramsOf(runId, 5).innerSteps, 0, "none yet");
    }

    /// @dev A5. An old decision, executed late, would undo what was decided after it.
    function test_ofTwoDecisionsOnOneVersionTheFirstHolds() public {
        RunParams memory p = params();
        p.innerSteps = 128;
        vm.prank(address(timelock));
        runs.setParams(runId, 1, p);
        uint32[3] memory stale = [uint32(0), 1, 3];
        for (uint256 i = 0; i < stale.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IRunRegistry.RunRegistryParamsReplaced.selector, runId, stale[i], 2)
            );
            vm.prank(address(timelock));
            runs.setParams(runId, stale[i], params());
        }
        eq(runs.runOf(runId).version, 2, "version");
        eq(runs.paramsOf(runId, 2).innerSteps, 128, "the first's");
    }

    /// @dev Every field, one by one, a step outside its bounds.
    function testFuzz_noFieldLeavesItsBounds(uint8 field, bool above) public {
        field = uint8(bound(field, 0, FIELDS - 1));
        uint256[FIELDS] memory words = ParameterTable.toWords(params());
        uint256[FIELDS] memory low = ParameterTable.toWords(minParams());
        uint256[FIELDS] memory high = ParameterTable.toWords(maxParams());
        vm.assume(above || low[field] > 0);
        words[field] = above ? high[field] + 1 : low[field] - 1;
        RunParams memory p = ParameterTable.toParams(words);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRunRegistry.RunRegistryParamOutOfBounds.selector,
                field,
                words[field],
                low[field],
                high[field]
            )
        );
        vm.prank(address(timelock));
        runs.setParams(runId, 1, p);
    }

    /// @dev Whatever is tried within the bounds, it is recorded where it satisfies every rule, and only there.
    function testFuzz_whatIsRecordedIsWithinBoundsAndConsistent(uint256 seed) public {
        uint256[FIELDS] memory low = ParameterTable.toWords(minParams());
        uint256[FIELDS] memory high = ParameterTable.toWords(maxParams());
        uint256[FIELDS] memory words;
        for (uint256 i = 0; i < FIELDS; ++i) {
            words[i] = bound(uint256(keccak256(abi.encode(seed, i))), low[i], high[i]);
        }
        if (seed % 2 == 0) (words[0], words[1]) = (words[0] & ~uint256(3), words[1] & ~uint256(3));
        if (seed % 4 == 0) words[14] = words[0] / 8;
        RunParams memory p = ParameterTable.toParams(words);
        bool steps = p.innerSteps > 0 && p.innerSteps % 4 == 0 && p.delaySteps < p.innerSteps / 4;
        bool ramp = p.rampInnerSteps % 4 == 0 && (p.rampInnerSteps > 0 || p.rampRounds == 0);
        bool workers = p.minWorkers >= 1 && p.minWorkers <= p.maxWorkers;
        vm.prank(address(timelock));
        try runs.setParams(runId, 1, p) {
            yes(steps && ramp && workers, "recorded");
            eq(keccak256(abi.encode(runs.paramsOf(runId, 2))), keccak256(abi.encode(p)), "as it was asked for");
        } catch {
            yes(!(steps && ramp && workers), "refused");
        }
    }

    function test_parametersFitTogether() public {
        RunParams memory p = params();
        p.innerSteps = 0;
        _inconsistent(p, "innerSteps");
        p.innerSteps = 66;
        _inconsistent(p, "innerSteps");
        p = params();
        p.rampInnerSteps = 6;
        _inconsistent(p, "rampInnerSteps");
        p.rampInnerSteps = 0;
        _inconsistent(p, "rampInnerSteps");
        p = params();
        p.delaySteps = 16;
        _inconsistent(p, "delaySteps");
        p = params();
        p.minWorkers = 65;
        _inconsistent(p, "minWorkers");
    }

    function test_sharesAreBelowOne() public {
        RunId next = _wideRun();
        RunParams memory p = params();
        p.minWorkers = 0;
        _inconsistentIn(next, p, "minWorkers");
        p = params();
        p.outerMomentumPpm = 1_000_000;
        _inconsistentIn(next, p, "outerMomentumPpm");
        p = params();
        p.aggregatorBps = 10_001;
        _inconsistentIn(next, p, "aggregatorBps");
        p = params();
        p.mixingBps = 10_001;
        _inconsistentIn(next, p, "mixingBps");
        p = params();
        p.replayBps = 10_001;
        _inconsistentIn(next, p, "replayBps");
    }

    function test_aWholeIsAllowed() public {
        RunId next = _wideRun();
        RunParams memory p = params();
        p.outerMomentumPpm = 999_999;
        p.aggregatorBps = 10_000;
        p.mixingBps = 10_000;
        p.replayBps = 10_000;
        p.minWorkers = p.maxWorkers;
        vm.prank(address(timelock));
        eq(runs.setParams(next, 1, p), 2, "version");
    }

    function test_noRampNeedsNoRampSteps() public {
        RunParams memory p = params();
        p.rampRounds = 0;
        p.rampInnerSteps = 0;
        vm.prank(address(timelock));
        eq(runs.setParams(runId, 1, p), 2, "version");
    }

    function test_buildsComeAndGo() public {
        vm.startPrank(address(timelock));
        runs.admitBuild(runId, Digest.wrap("tpu"), true);
        yes(runs.isAdmitted(runId, Digest.wrap("tpu")), "admitted");
        runs.admitBuild(runId, Digest.wrap("tpu"), false);
        yes(!runs.isAdmitted(runId, Digest.wrap("tpu")), "refused");
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryZero.selector, bytes32("build")));
        runs.admitBuild(runId, Digest.wrap(0), true);
        vm.stopPrank();
    }

    function test_thePosterCanBeReplacedButNotRemoved() public {
        vm.startPrank(address(timelock));
        runs.setPoster(runId, address(0xbeef));
        eq(runs.runOf(runId).poster, address(0xbeef), "poster");
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryZero.selector, bytes32("poster")));
        runs.setPoster(runId, address(0));
        vm.stopPrank();
    }

    function test_finishedIsForEver() public {
        vm.startPrank(address(timelock));
        runs.setStatus(runId, Status.Paused);
        runs.setStatus(runId, Status.Open);
        runs.setStatus(runId, Status.Finished);
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryRunFinished.selector, runId));
        runs.setStatus(runId, Status.Open);
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryRunFinished.selector, runId));
        runs.setParams(runId, 1, params());
        vm.stopPrank();
    }

    /// @dev A run whose bounds allow everything.
    function _wideRun() private returns (RunId) {
        uint256[FIELDS] memory low;
        vm.startPrank(address(timelock));
        runs.setStatus(runId, Status.Finished);
        RunId next = runs.registerRun(modelId, "wide", _config(low, ParameterTable.widest()));
        vm.stopPrank();
        return next;
    }

    function _config(
        uint256[FIELDS] memory low,
        uint256[FIELDS] memory high
    ) private pure returns (RunConfig memory c) {
        c = runConfig();
        c.min = ParameterTable.toParams(low);
        c.max = ParameterTable.toParams(high);
    }

    function _inconsistent(RunParams memory p, bytes32 rule) private {
        _inconsistentIn(runId, p, rule);
    }

    function _inconsistentIn(RunId id, RunParams memory p, bytes32 rule) private {
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryParamsInconsistent.selector, rule));
        vm.prank(address(timelock));
        runs.setParams(id, 1, p);
    }
}
