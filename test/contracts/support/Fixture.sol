// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ValidatorSet} from "../../../contracts/attestation/ValidatorSet.sol";
import {DeterministicDeployer} from "../../../contracts/deployment/DeterministicDeployer.sol";
import {Emission} from "../../../contracts/emission/Emission.sol";
import {Bootstrap} from "../../../contracts/governance/Bootstrap.sol";
import {ModelGovernor} from "../../../contracts/governance/ModelGovernor.sol";
import {ModelTimelock} from "../../../contracts/governance/ModelTimelock.sol";
import {Digest, HeadHash, ModelId, RunId} from "../../../contracts/interfaces/Ids.sol";
import {GovernorConfig, Limits, ModelConfig} from "../../../contracts/interfaces/IModelRegistry.sol";
import {ActiveRoot} from "../../../contracts/interfaces/IComputeRewards.sol";
import {IModelAuthority} from "../../../contracts/interfaces/IModelAuthority.sol";
import {RunConfig} from "../../../contracts/interfaces/IRunRegistry.sol";
import {COMPUTE} from "../../../contracts/interfaces/Kinds.sol";
import {RunParams} from "../../../contracts/interfaces/RunParams.sol";
import {Attestation} from "../../../contracts/interfaces/Statements.sol";
import {ModelLimits} from "../../../contracts/libraries/ModelLimits.sol";
import {ProtocolHashes} from "../../../contracts/libraries/ProtocolHashes.sol";
import {ModelRegistry} from "../../../contracts/models/ModelRegistry.sol";
import {ModelShares} from "../../../contracts/models/ModelShares.sol";
import {CapitalSale} from "../../../contracts/rewards/CapitalSale.sol";
import {CodeGrants} from "../../../contracts/rewards/CodeGrants.sol";
import {ComputeRewards} from "../../../contracts/rewards/ComputeRewards.sol";
import {RevenueDeposits} from "../../../contracts/rewards/RevenueDeposits.sol";
import {ComputeBudget} from "../../../contracts/treasury/ComputeBudget.sol";
import {StakeManager} from "../../../contracts/staking/StakeManager.sol";
import {CheckpointRegistry} from "../../../contracts/training/CheckpointRegistry.sol";
import {RunRegistry} from "../../../contracts/training/RunRegistry.sol";
import {Assertions} from "./Assertions.sol";

/// @notice All contracts, wired as the deployment wires them, and one model with seven validators, five of whom sign.
abstract contract Fixture is Assertions {
    uint256 internal constant START = 1_800_000_000;
    uint32 internal constant EPOCH = 16;
    uint32 internal constant DELAY = 12;
    uint32 internal constant WINDOW = 4;
    uint128 internal constant BUDGET = 1_000e18;
    uint96 internal constant BOND = 1 ether;
    uint128 internal constant BOOTSTRAP_SHARES = 100e18;
    uint32 internal constant BOOTSTRAP_EPOCHS = 3;
    uint256 internal constant EPOCHS_PER_YEAR = 1_971_000;
    ModelId internal constant NO_MODEL = ModelId.wrap("none");
    RunId internal constant NO_RUN = RunId.wrap("none");
    address internal constant ORGANISER = address(0x0463);
    address internal constant POSTER = address(0x9057);

    DeterministicDeployer internal deployer;
    ModelShares internal sharesImplementation;
    ModelGovernor internal governorImplementation;
    ModelTimelock internal timelockImplementation;
    ModelRegistry internal registry;
    RunRegistry internal runs;
    CheckpointRegistry internal checkpoints;
    ValidatorSet internal validators;
    Emission internal emission;
    ComputeRewards internal rewards;
    CodeGrants internal grants;
    CapitalSale internal capital;
    RevenueDeposits internal revenue;
    StakeManager internal stakes;
    Bootstrap internal bootstrap;
    ComputeBudget internal budgets;

    ModelId internal modelId;
    ModelShares internal shares;
    ModelGovernor internal governor;
    ModelTimelock internal timelock;

    /// @dev What was posted last.
    Attestation internal posted;

    /// @dev Keys of the validators, their addresses ascending.
    uint256[] internal keys;

    function setUp() public virtual {
        vm.warp(START);
        vm.roll(100);
        deployer = new DeterministicDeployer();
        deployContracts(localLimits());
        keys = ascendingKeys(1_000, 7);
        useModel(registry.createModel(modelConfig(), "model"));
    }

    function useModel(ModelId id) internal {
        modelId = id;
        shares = ModelShares(registry.sharesOf(modelId));
        governor = ModelGovernor(payable(registry.governorOf(modelId)));
        timelock = ModelTimelock(payable(registry.timelockOf(modelId)));
    }

    // --- deployment ---------------------------------------------------------------------------------------------------

    function deployContracts(Limits memory limits) internal {
        registry = ModelRegistry(placeOf("registry"));
        runs = RunRegistry(placeOf("runs"));
        checkpoints = CheckpointRegistry(placeOf("checkpoints"));
        validators = ValidatorSet(placeOf("validators"));
        emission = Emission(placeOf("emission"));
        rewards = ComputeRewards(placeOf("rewards"));
        grants = CodeGrants(placeOf("grants"));
        capital = CapitalSale(placeOf("capital"));
        revenue = RevenueDeposits(placeOf("revenue"));
        stakes = StakeManager(placeOf("stakes"));
        bootstrap = Bootstrap(placeOf("bootstrap"));
        budgets = ComputeBudget(placeOf("budgets"));
        sharesImplementation = new ModelShares(registry, address(emission));
        governorImplementation = new ModelGovernor(registry, address(rewards), bootstrap);
        timelockImplementation = new ModelTimelock(registry);
        deployer.deploy("registry", registryCode(limits));
        deployer.deploy("runs", bytes.concat(type(RunRegistry).creationCode, abi.encode(registry, checkpoints)));
        deployer.deploy(
            "checkpoints",
            bytes.concat(type(CheckpointRegistry).creationCode, abi.encode(runs, validators))
        );
        deployer.deploy("validators", bytes.concat(type(ValidatorSet).creationCode, abi.encode(registry)));
        deployer.deploy(
            "emission",
            bytes.concat(type(Emission).creationCode, abi.encode(registry, rewards, grants, capital))
        );
        deployer.deploy(
            "rewards",
            bytes.concat(
                type(ComputeRewards).creationCode,
                abi.encode(registry, emission, validators, bootstrap, revenue)
            )
        );
        deployer.deploy(
            "grants",
            bytes.concat(type(CodeGrants).creationCode, abi.encode(registry, emission, validators))
        );
        deployer.deploy("capital", bytes.concat(type(CapitalSale).creationCode, abi.encode(registry, emission)));
        deployer.deploy(
            "revenue",
            bytes.concat(type(RevenueDeposits).creationCode, abi.encode(registry, capital, rewards))
        );
        deployer.deploy(
            "stakes",
            bytes.concat(type(StakeManager).creationCode, abi.encode(registry, runs, rewards, validators, rewards))
        );
        deployer.deploy(
            "bootstrap",
            bytes.concat(type(Bootstrap).creationCode, abi.encode(registry, emission, rewards, runs))
        );
        deployer.deploy("budgets", bytes.concat(type(ComputeBudget).creationCode, abi.encode(registry)));
    }

    function registryCode(Limits memory limits) internal view returns (bytes memory) {
        return
            bytes.concat(
                type(ModelRegistry).creationCode,
                abi.encode(
                    sharesImplementation,
                    governorImplementation,
                    timelockImplementation,
                    emission,
                    validators,
                    capital,
                    stakes,
                    rewards,
                    bootstrap,
                    budgets,
                    limits
                )
            );
    }

    function placeOf(bytes32 salt) internal view returns (address) {
        return deployer.addressOf(address(this), salt);
    }

    function localLimits() internal pure returns (Limits memory) {
        return ModelLimits.least(31_337);
    }

    function publicLimits() internal pure returns (Limits memory) {
        return ModelLimits.least(1);
    }

    // --- model --------------------------------------------------------------------------------------------------------

    function modelConfig() internal view returns (ModelConfig memory config) {
        config.name = "Model";
        config.symbol = "MDL";
        config.uri = "ipfs://terms";
        config.organiser = ORGANISER;
        config.epochLength = EPOCH;
        config.yearlyCap = uint128(BUDGET * EPOCHS_PER_YEAR);
        config.epochBudget = BUDGET;
        config.bps = split(7_000, 1_000, 1_500, 500);
        config.window = WINDOW;
        config.postingDelay = DELAY;
        config.governor = GovernorConfig({
            votingDelay: 1,
            votingPeriod: 6,
            lateQuorumExtension: 2,
            timelockDelay: 3,
            proposalThreshold: 1e18,
            quorumBps: 1_000,
            quorumFloor: 1e18
        });
        config.validators = addressesOf(keys);
        config.threshold = uint16((keys.length * 2 + 2) / 3);
        config.disputeBond = BOND;
        config.bootstrapShares = BOOTSTRAP_SHARES;
        config.bootstrapEpochs = BOOTSTRAP_EPOCHS;
        config.bootstrapMaxEpochs = uint32(EPOCHS_PER_YEAR);
    }

    /// @dev As if its terms had been met now; root and claims that meet them move clock and books.
    function _endBootstrapOf(ModelId id) internal {
        bytes32 slot = keccak256(abi.encode(id, uint256(0)));
        uint256 terms = uint256(vm.load(address(bootstrap), slot));
        vm.store(address(bootstrap), slot, bytes32(terms | (block.timestamp << 192)));
        yes(bootstrap.isOver(id), "bootstrap is over");
    }

    function split(uint16 a, uint16 b, uint16 c, uint16 d) internal pure returns (uint16[4] memory) {
        return [a, b, c, d];
    }

    function ascendingKeys(uint256 seed, uint256 count) internal pure returns (uint256[] memory list) {
        list = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) list[i] = uint256(keccak256(abi.encode(seed, i)));
        for (uint256 i = 1; i < count; ++i) {
            for (uint256 j = i; j > 0 && vm.addr(list[j - 1]) > vm.addr(list[j]); --j) {
                (list[j - 1], list[j]) = (list[j], list[j - 1]);
            }
        }
    }

    function addressesOf(uint256[] memory list) internal pure returns (address[] memory addresses) {
        addresses = new address[](list.length);
        for (uint256 i = 0; i < list.length; ++i) addresses[i] = vm.addr(list[i]);
    }

    function unauthorised(ModelId id, address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IModelAuthority.ModelAuthorityUnauthorized.selector, id, caller);
    }

    /// @dev Whoever is not in the set yet wants to be.
    function consentAll(address[] memory members) internal {
        for (uint256 i = 0; i < members.length; ++i) {
            vm.prank(members[i]);
            validators.consent(modelId, true);
        }
    }

    // --- runs ---------------------------------------------------------------------------------------------------------

    function params() internal pure returns (RunParams memory p) {
        p.innerSteps = 64;
        p.rampInnerSteps = 8;
        p.rampRounds = 4;
        p.innerLrPpb = 1_000_000;
        p.outerLrPpm = 700_000;
        p.outerMomentumPpm = 900_000;
        p.minWorkers = 1;
        p.maxWorkers = 64;
        p.roundDeadline = 60;
        p.codec = 1;
    }

    function maxParams() internal pure returns (RunParams memory p) {
        p = params();
        p.innerSteps = 1_024;
        p.rampInnerSteps = 64;
        p.rampRounds = 100;
        p.innerLrPpb = 100_000_000;
        p.outerLrPpm = 2_000_000;
        p.outerMomentumPpm = 990_000;
        p.maxWorkers = 1_000;
        p.minWorkers = 1_000;
        p.roundDeadline = 3_600;
        p.delaySteps = 128;
        p.mixingBps = 10_000;
        p.aggregatorBps = 10_000;
        p.replayBps = 10_000;
        p.minStake = 1e24;
    }

    function minParams() internal pure returns (RunParams memory p) {
        p.minWorkers = 1;
        p.maxWorkers = 1;
        p.roundDeadline = 1;
        p.codec = 1;
    }

    function runConfig() internal pure returns (RunConfig memory config) {
        config.definition = Digest.wrap("definition");
        config.initialCheckpoint = Digest.wrap("checkpoint 0");
        config.fragments = 4;
        config.poster = POSTER;
        config.builds = new Digest[](2);
        config.builds[0] = Digest.wrap("cpu");
        config.builds[1] = Digest.wrap("gpu");
        config.params = params();
        config.min = minParams();
        config.max = maxParams();
    }

    function registerRun() internal returns (RunId) {
        vm.prank(ORGANISER);
        return runs.registerRun(modelId, "run", runConfig());
    }

    // --- attestations -------------------------------------------------------------------------------------------------

    /// @dev An attestation of compute that the contract accepts once the epoch is over.
    function attest(uint64 toEpoch, bytes32 root, uint256 total) internal view returns (Attestation memory a) {
        (uint64 index, uint64 through, ActiveRoot memory last) = rewards.newest(modelId, COMPUTE);
        a.kind = COMPUTE;
        a.modelId = modelId;
        a.index = index + 1;
        a.fromEpoch = through + 1;
        a.toEpoch = toEpoch;
        a.runId = RunId.wrap("run id");
        a.head = HeadHash.wrap("head");
        a.epochDigest = Digest.wrap("epoch digest");
        a.previousRoot = last.root;
        a.root = root;
        a.total = total;
        a.setVersion = validators.currentVersion(modelId);
        a.blockNumber = uint64(block.number);
        a.blockHash = "block hash";
        a.deadline = uint64(emission.epochEnd(modelId, toEpoch)) + DELAY;
        if (a.deadline < block.timestamp) {
            a.deadline += uint64(Math.ceilDiv(block.timestamp - a.deadline, DELAY)) * DELAY;
        }
    }

    function digestOf(Attestation memory a) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(rewards.domainSeparator(), ProtocolHashes.hashAttestation(a));
    }

    function signedBy(uint256[] memory signers, bytes32 digest) internal pure returns (bytes memory signatures) {
        for (uint256 i = 0; i < signers.length; ++i) {
            signatures = bytes.concat(signatures, signature(signers[i], digest));
        }
    }

    function signature(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev The first k keys, k the threshold.
    function quorum() internal view returns (uint256[] memory signers) {
        signers = new uint256[]((keys.length * 2 + 2) / 3);
        for (uint256 i = 0; i < signers.length; ++i) signers[i] = keys[i];
    }

    function post(Attestation memory a) internal {
        rewards.postRoot(a, signedBy(quorum(), digestOf(a)));
        posted = a;
    }

    /// @dev What the contracts name an attestation by.
    function nameOf(Attestation memory a) internal pure returns (bytes32) {
        return ProtocolHashes.hashAttestation(a);
    }

    function afterEpoch(uint64 epoch) internal {
        vm.warp(emission.epochEnd(modelId, epoch));
    }

    /// @dev Posts and activates a root once its epoch is over.
    function settle(uint64 epoch, bytes32 root, uint256 total) internal {
        if (block.timestamp < emission.epochEnd(modelId, epoch)) afterEpoch(epoch);
        post(attest(epoch, root, total));
        vm.warp(block.timestamp + WINDOW);
        rewards.activate(posted);
    }

    function leafOf(uint64 index, address account, uint256 amount) internal view returns (bytes32) {
        return ProtocolHashes.rewardLeaf(COMPUTE, modelId, index, account, amount);
    }

    /// @dev Number of the newest active root.
    /// @dev Number of the newest budget, which a decision about the next names.
    function newestBudget(ModelId id) internal view returns (uint32) {
        return emission.budgetOf(id, type(uint64).max).version;
    }

    function newestIndex() internal view returns (uint64 index) {
        (index, , ) = rewards.newest(modelId, COMPUTE);
    }

    function paid(address account, uint64 index) internal view returns (bool) {
        return (rewards.paidBits(modelId, COMPUTE, account, index / 256) >> (index % 256)) & 1 == 1;
    }
}
