// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Digest, HeadHash, ModelId, RunId} from "../../contracts/interfaces/Ids.sol";
import {ICheckpointRegistry} from "../../contracts/interfaces/ICheckpointRegistry.sol";
import {IRunRegistry, Run, RunConfig, Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {RunParams} from "../../contracts/interfaces/RunParams.sol";
import {Head} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {Fixture} from "./support/Fixture.sol";

contract RegisterRunTest is Fixture {
    function test_theOrganiserRegistersTheFirstRun() public {
        RunId runId = registerRun();
        eq(RunId.unwrap(runId), keccak256(abi.encode(block.chainid, address(runs), modelId, bytes32("run"))), "id");
        eq(runs.runIdOf(modelId, "run"), runId, "runIdOf");
        eq(runs.openRunOf(modelId), runId, "open run");
        eq(runs.runCountOf(modelId), 1, "count");
        Run memory run = runs.runOf(runId);
        eq(run.modelId, modelId, "model");
        eq(run.salt, "run", "salt");
        eq(run.definition, Digest.wrap("definition"), "definition");
        eq(run.poster, POSTER, "poster");
        eq(run.fragments, 4, "fragments");
        eq(run.version, 1, "version");
        yes(run.status == Status.Open, "open");
        yes(runs.isAdmitted(runId, Digest.wrap("cpu")) && runs.isAdmitted(runId, Digest.wrap("gpu")), "builds");
        yes(!runs.isAdmitted(runId, Digest.wrap("tpu")), "no other");
        (RunParams memory min, RunParams memory max) = runs.boundsOf(runId);
        eq(keccak256(abi.encode(min, max)), keccak256(abi.encode(minParams(), maxParams())), "bounds");
        eq(keccak256(abi.encode(runs.paramsOf(runId, 1))), keccak256(abi.encode(params())), "params");
    }

    function test_nobodyElseRegistersTheFirstRun() public {
        RunConfig memory config = runConfig();
        vm.expectRevert(unauthorised(modelId, address(timelock)));
        vm.prank(address(timelock));
        runs.registerRun(modelId, "run", config);
        vm.expectRevert(unauthorised(modelId, POSTER));
        vm.prank(POSTER);
        runs.registerRun(modelId, "run", config);
    }

    function test_nobodyRegistersForAnUnknownModel() public {
        RunConfig memory config = runConfig();
        vm.expectRevert(unauthorised(NO_MODEL, ORGANISER));
        vm.prank(ORGANISER);
        runs.registerRun(NO_MODEL, "run", config);
    }

    function test_theTimelockRegistersEveryLaterRun() public {
        RunId first = registerRun();
        RunConfig memory config = runConfig();
        vm.startPrank(address(timelock));
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryRunOpen.selector, modelId, first));
        runs.registerRun(modelId, "next", config);
        runs.setStatus(first, Status.Paused);
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryRunOpen.selector, modelId, first));
        runs.registerRun(modelId, "next", config);
        runs.setStatus(first, Status.Finished);
        eq(runs.openRunOf(modelId), RunId.wrap(0), "none open");
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryRunExists.selector, first));
        runs.registerRun(modelId, "run", config);
        vm.stopPrank();

        vm.expectRevert(unauthorised(modelId, ORGANISER));
        vm.prank(ORGANISER);
        runs.registerRun(modelId, "next", config);

        vm.prank(address(timelock));
        RunId next = runs.registerRun(modelId, "next", config);
        eq(runs.openRunOf(modelId), next, "open");
        eq(runs.runCountOf(modelId), 2, "count");
    }

    function test_checkpointZeroIsRecorded() public {
        RunId runId = registerRun();
        (HeadHash head, uint64 sequence, uint64 round) = checkpoints.headOf(runId);
        Head memory expected = Head({
            chainId: block.chainid,
            registry: address(checkpoints),
            parentHead: HeadHash.wrap(0),
            runId: runId,
            sequence: 0,
            round: 0,
            paramsVersion: 1,
            checkpointDigest: Digest.wrap("checkpoint 0"),
            receiptsRoot: 0
        });
        eq(head, ProtocolHashes.hashHead(expected), "head");
        eq(sequence, 0, "sequence");
        eq(round, 0, "round");
    }

    function test_onlyTheRunRegistryOpensRunsAndSaysWhoPosts() public {
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryOnlyRunRegistry.selector, address(this))
        );
        checkpoints.open(RunId.wrap("run"), Digest.wrap("digest"));
        vm.expectRevert(
            abi.encodeWithSelector(ICheckpointRegistry.CheckpointRegistryOnlyRunRegistry.selector, address(this))
        );
        checkpoints.update(RunId.wrap("run"), address(this), true, 1);
    }

    function test_whatMustNotBeZeroIsNot() public {
        RunConfig memory config = runConfig();
        config.definition = Digest.wrap(0);
        _refused(config, abi.encodeWithSelector(IRunRegistry.RunRegistryZero.selector, bytes32("definition")));
        config = runConfig();
        config.fragments = 0;
        _refused(config, abi.encodeWithSelector(IRunRegistry.RunRegistryZero.selector, bytes32("fragments")));
        config = runConfig();
        config.poster = address(0);
        _refused(config, abi.encodeWithSelector(IRunRegistry.RunRegistryZero.selector, bytes32("poster")));
        config = runConfig();
        config.builds[1] = Digest.wrap(0);
        _refused(config, abi.encodeWithSelector(IRunRegistry.RunRegistryZero.selector, bytes32("build")));
        config = runConfig();
        config.initialCheckpoint = Digest.wrap(0);
        _refused(
            config,
            abi.encodeWithSelector(
                ICheckpointRegistry.CheckpointRegistryDigestMissing.selector,
                runs.runIdOf(modelId, "run")
            )
        );
    }

    function test_buildsAreOneToSixteen() public {
        RunConfig memory config = runConfig();
        config.builds = new Digest[](0);
        _refused(config, abi.encodeWithSelector(IRunRegistry.RunRegistryBuildCount.selector, 0));
        config.builds = new Digest[](17);
        _refused(config, abi.encodeWithSelector(IRunRegistry.RunRegistryBuildCount.selector, 17));
        config.builds = new Digest[](16);
        for (uint256 i = 0; i < 16; ++i) config.builds[i] = Digest.wrap(bytes32(i + 1));
        vm.prank(ORGANISER);
        RunId runId = runs.registerRun(modelId, "run", config);
        for (uint256 i = 0; i < 16; ++i) yes(runs.isAdmitted(runId, config.builds[i]), "admitted");
    }

    /// @dev A12. Such a run could never have parameters.
    function test_noMinimumLiesAboveItsMaximum() public {
        RunConfig memory config = runConfig();
        config.min.minWorkers = 2;
        config.max.minWorkers = 1;
        for (uint16 workers = 1; workers < 3; ++workers) {
            config.params.minWorkers = workers;
            _refused(
                config,
                abi.encodeWithSelector(IRunRegistry.RunRegistryParamOutOfBounds.selector, 6, workers, 2, 1)
            );
        }
    }

    function test_unknownRunsAreRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryUnknownRun.selector, NO_RUN));
        runs.runOf(NO_RUN);
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryUnknownRun.selector, NO_RUN));
        runs.setPoster(NO_RUN, POSTER);
        vm.expectRevert(abi.encodeWithSelector(IRunRegistry.RunRegistryUnknownRun.selector, NO_RUN));
        runs.setParams(NO_RUN, 1, params());
        eq(runs.versionAt(NO_RUN, uint48(block.timestamp)), 0, "no version");
    }

    function _refused(RunConfig memory config, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(ORGANISER);
        runs.registerRun(modelId, "run", config);
    }
}
