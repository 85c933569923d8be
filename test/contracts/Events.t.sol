// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {DeterministicDeployer} from "../../contracts/deployment/DeterministicDeployer.sol";
import {IBootstrap} from "../../contracts/interfaces/IBootstrap.sol";
import {Claim, IComputeRewards, Leaf} from "../../contracts/interfaces/IComputeRewards.sol";
import {IDisputes} from "../../contracts/interfaces/IDisputes.sol";
import {Digest, ModelId, RunId} from "../../contracts/interfaces/Ids.sol";
import {IEmission} from "../../contracts/interfaces/IEmission.sol";
import {IModelRegistry, ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {IModelShares} from "../../contracts/interfaces/IModelShares.sol";
import {IRunRegistry, RunConfig, Status} from "../../contracts/interfaces/IRunRegistry.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {RunParams} from "../../contracts/interfaces/RunParams.sol";
import {Attestation} from "../../contracts/interfaces/Statements.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice Whoever follows a model by its events alone misses nothing: each change has its event, with every field.
contract EventsTest is Fixture {
    function test_aModelIsCreated() public {
        ModelConfig memory config = modelConfig();
        ModelId id = registry.modelIdOf(address(this), "next", keccak256(abi.encode(config)));
        bytes32 salt = ModelId.unwrap(id);
        address shares_ = _clone(address(sharesImplementation), salt);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ModelCreated(
            id,
            ORGANISER,
            address(this),
            shares_,
            _clone(address(governorImplementation), salt),
            _clone(address(timelockImplementation), salt),
            config.name,
            config.symbol,
            config.uri
        );
        vm.expectEmit(address(registry));
        emit IModelRegistry.ModelConfigured(id, registry.scheduleOf(modelId), config.governor);
        vm.expectEmit(shares_);
        emit IModelShares.ContractURIUpdated();
        vm.expectEmit(address(emission));
        emit IEmission.BudgetSet(id, 1, config.epochBudget, config.bps);
        vm.expectEmit(address(validators));
        emit IValidatorSet.ValidatorsSet(id, 1, config.validators, config.threshold, uint48(START));
        registry.createModel(config, "next");
    }

    function test_aModelIsCreatedWithItsCourt() public {
        ModelConfig memory config = modelConfig();
        ModelId id = registry.modelIdOf(address(this), "next", keccak256(abi.encode(config)));
        vm.expectEmit(address(rewards));
        emit IDisputes.BondSet(id, 1, config.disputeBond);
        registry.createModel(config, "next");

        id = registry.modelIdOf(address(this), "third", keccak256(abi.encode(config)));
        vm.expectEmit(address(bootstrap));
        emit IBootstrap.BootstrapOpened(id, config.bootstrapShares, config.bootstrapEpochs, config.bootstrapMaxEpochs);
        registry.createModel(config, "third");
    }

    function test_holdersSetTheUriTheBudgetAndTheValidators() public {
        vm.startPrank(address(timelock));
        vm.expectEmit(address(shares));
        emit IModelShares.ContractURIUpdated();
        shares.setContractURI("ipfs://new");

        vm.expectEmit(address(emission));
        emit IEmission.BudgetSet(modelId, 2, 5, split(1_000, 2_000, 3_000, 4_000));
        emission.setBudget(modelId, 1, 5, split(1_000, 2_000, 3_000, 4_000));

        address[] memory members = addressesOf(keys);
        vm.expectEmit(address(validators));
        emit IValidatorSet.ValidatorsSet(modelId, 2, members, 6, uint48(START + WINDOW));
        validators.setValidators(modelId, 1, members, 6);
        vm.stopPrank();
    }

    function test_aRunIsRegistered() public {
        RunConfig memory config = runConfig();
        RunId runId = runs.runIdOf(modelId, "run");
        vm.expectEmit(address(runs));
        emit IRunRegistry.RunRegistered(
            modelId,
            runId,
            config.definition,
            config.fragments,
            config.poster,
            config.min,
            config.max
        );
        for (uint256 i = 0; i < config.builds.length; ++i) {
            vm.expectEmit(address(runs));
            emit IRunRegistry.BuildAdmitted(runId, config.builds[i], true);
        }
        vm.expectEmit(address(runs));
        emit IRunRegistry.RunParamsSet(runId, 1, config.params);
        registerRun();
    }

    function test_holdersGovernARun() public {
        RunId runId = registerRun();
        RunParams memory next = params();
        next.innerSteps = 128;
        vm.startPrank(address(timelock));
        vm.expectEmit(address(runs));
        emit IRunRegistry.RunParamsSet(runId, 2, next);
        runs.setParams(runId, 1, next);

        vm.expectEmit(address(runs));
        emit IRunRegistry.BuildAdmitted(runId, Digest.wrap("cpu"), false);
        runs.admitBuild(runId, Digest.wrap("cpu"), false);

        vm.expectEmit(address(runs));
        emit IRunRegistry.PosterSet(runId, address(0x600d));
        runs.setPoster(runId, address(0x600d));

        vm.expectEmit(address(runs));
        emit IRunRegistry.StatusSet(runId, Status.Paused);
        runs.setStatus(runId, Status.Paused);
        vm.stopPrank();
    }

    function test_rootsArePostedActivatedAndClaimed() public {
        address account = address(0xa11ce);
        afterEpoch(2);
        Attestation memory a = attest(2, leafOf(1, account, 100), 100);
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        uint48 activatableAt = uint48(block.timestamp + WINDOW);
        vm.expectEmit(address(rewards));
        emit IComputeRewards.RootPosted(modelId, 1, 1, a, activatableAt);
        rewards.postRoot(a, signatures);

        vm.warp(activatableAt);
        vm.expectEmit(address(rewards));
        emit IComputeRewards.RootActivated(modelId, 1, 1, a.root, 1, 2, 100);
        vm.expectEmit(address(emission));
        emit IEmission.EmissionAuthorised(modelId, 1, 1, 2, uint48(a.deadline), 100);
        rewards.activate(a);

        uint64[] memory roots = new uint64[](1);
        roots[0] = 1;
        Leaf memory leaf = Leaf(1, 100, new bytes32[](0));
        vm.expectEmit(address(rewards));
        emit IComputeRewards.Claimed(modelId, account, 1, account, 100, roots);
        rewards.claim(modelId, 1, account, leaf);
        vm.recordLogs();
        rewards.claim(modelId, 1, account, leaf);
        Claim[] memory claims = new Claim[](1);
        claims[0] = Claim(modelId, 1, account, new Leaf[](1));
        claims[0].leaves[0] = leaf;
        rewards.claimMany(claims);
        eq(vm.getRecordedLogs().length, 0, "what pays nothing says nothing");
    }

    /// @dev A19.
    function test_aBatchSaysWhatItPassedOver() public {
        address account = address(0xa11ce);
        Claim[] memory claims = new Claim[](1);
        claims[0] = Claim(modelId, 1, account, new Leaf[](3));
        for (uint64 i = 1; i <= 3; ++i) {
            settle(i, leafOf(i, account, 10 * i), 10 * i);
            claims[0].leaves[i - 1] = Leaf(i, 10 * i, new bytes32[](0));
        }
        rewards.claim(modelId, 1, account, claims[0].leaves[1]);
        uint64[] memory roots = new uint64[](3);
        (roots[0], roots[2]) = (1, 3);
        vm.expectEmit(address(rewards));
        emit IComputeRewards.Claimed(modelId, account, 1, account, 40, roots);
        vm.expectEmit(address(shares));
        emit IERC20.Transfer(address(rewards), account, 40);
        rewards.claimMany(claims);
    }

    function test_ordersAreRevoked() public {
        vm.expectEmit(address(rewards));
        emit IComputeRewards.ClaimToRevoked(address(0xa11ce), 1);
        vm.prank(address(0xa11ce));
        rewards.revokeClaimTo();
    }

    function test_aContractIsDeployed() public {
        address expected = placeOf("another");
        vm.expectEmit(address(deployer));
        emit DeterministicDeployer.Deployed(address(this), "another", expected);
        deployer.deploy("another", hex"600160005360016000f3");
    }

    function _clone(address implementation, bytes32 salt) private view returns (address) {
        return Clones.predictDeterministicAddress(implementation, salt, address(registry));
    }
}
