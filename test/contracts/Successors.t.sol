// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {SaleState} from "../../contracts/interfaces/ICapitalSale.sol";
import {IComputeRewards} from "../../contracts/interfaces/IComputeRewards.sol";
import {ICapitalSale} from "../../contracts/interfaces/ICapitalSale.sol";
import {IEmission} from "../../contracts/interfaces/IEmission.sol";
import {Digest, ModelId} from "../../contracts/interfaces/Ids.sol";
import {IModelRegistry} from "../../contracts/interfaces/IModelRegistry.sol";
import {CAPITAL, CODE, COMPUTE, TREASURY} from "../../contracts/interfaces/Kinds.sol";
import {Attestation, Grant} from "../../contracts/interfaces/Statements.sol";
import {CodeGrants} from "../../contracts/rewards/CodeGrants.sol";
import {ComputeRewards} from "../../contracts/rewards/ComputeRewards.sol";
import {Capital} from "./support/Capital.sol";
import {Grants} from "./support/Grants.sol";

/// @notice A holder's contract, which answers whatever it is asked.
contract Wallet {
    fallback() external {}
}

/// @notice Answers whatever it is asked by the same bytes, or refuses with them.
contract Echo {
    bytes private _answer;
    bool private _refuses;

    constructor(bytes memory answer, bool refuses) {
        (_answer, _refuses) = (answer, refuses);
    }

    fallback(bytes calldata) external returns (bytes memory answer) {
        answer = _answer;
        if (!_refuses) return answer;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }
}

/// @notice The holders name another contract to distribute a kind: after 14 days it goes on with what is left.
contract SuccessorsTest is Grants {
    uint256 private constant COMPUTE_BUDGET = (uint256(BUDGET) * 7_000) / 10_000;

    ComputeRewards private first;
    ComputeRewards private second;

    function setUp() public override {
        super.setUp();
        first = rewards;
        second = new ComputeRewards(registry, emission, validators, bootstrap, revenue);
    }

    // --- naming ---------------------------------------------------------------------------------------------------------

    function test_onlyTheHoldersNameOne() public {
        address[3] memory others = [ORGANISER, address(rewards), address(second)];
        for (uint256 i = 0; i < others.length; ++i) {
            vm.expectRevert(unauthorised(modelId, others[i]));
            vm.prank(others[i]);
            emission.nameSuccessor(modelId, COMPUTE, address(second));
        }
    }

    function test_itTakesOverAfterFourteenDays() public {
        uint48 from = uint48(block.timestamp + 14 days);
        vm.expectEmit(address(emission));
        emit IEmission.SuccessorNamed(modelId, COMPUTE, address(first), address(second), from);
        _name(COMPUTE, address(second));
        (address named, uint48 at_) = emission.successionOf(modelId, COMPUTE);
        eq(named, address(second), "named");
        eq(at_, from, "from");
        vm.warp(from - 1);
        eq(emission.distributorFor(modelId, COMPUTE), address(first), "the last second of the first");
        _refused(address(second), COMPUTE);
        _authorise(address(first), COMPUTE, 1);
        vm.warp(from);
        eq(emission.distributorFor(modelId, COMPUTE), address(second), "the first of the second");
        _refused(address(first), COMPUTE);
        _authorise(address(second), COMPUTE, 1);
        eq(emission.distributorOf(COMPUTE), address(first), "what models begin with");
    }

    function test_anotherModelKeepsItsOwn() public {
        ModelId other = registry.createModel(modelConfig(), "other");
        _name(COMPUTE, address(second));
        vm.warp(block.timestamp + 14 days);
        eq(emission.distributorFor(other, COMPUTE), address(first), "another model");
        eq(emission.distributorFor(modelId, CODE), address(grants), "another kind");
        (address named, uint48 from) = emission.successionOf(other, COMPUTE);
        eq(named, address(0), "nobody");
        eq(from, 0, "never");
    }

    function test_whatCannotDistributeIsRefused() public {
        _refusedSuccessor(COMPUTE, address(0));
        _refusedSuccessor(COMPUTE, address(0x51));
        _refusedSuccessor(TREASURY, address(second));
        _refusedSuccessor(TREASURY, address(timelock));
        _refusedSuccessor(0, address(second));
        _refusedSuccessor(5, address(second));
    }

    /// @dev What distributes has no part of revenue any more: nobody's wallet or pool is named.
    function test_aContractThatServesAnotherRegistryIsRefused() public {
        Wallet wallet = new Wallet();
        _refusedSuccessor(CODE, address(wallet));
        _refusedSuccessor(CODE, address(deployer));
        bytes memory word = abi.encode(registry);
        _refusedSuccessor(CODE, address(new Echo(word, true)));
        _refusedSuccessor(CODE, address(new Echo(bytes.concat(word, word), false)));
        CodeGrants foreign = new CodeGrants(IModelRegistry(address(this)), emission, validators);
        _refusedSuccessor(CODE, address(foreign));
        _name(CODE, address(new CodeGrants(registry, emission, validators)));
    }

    /// @dev A contract says itself how old an epoch may be: one that is named would take what lapsed long ago.
    function test_whatLapsedBeforeItTookOverIsGone() public {
        vm.warp(START + 90 days);
        _name(COMPUTE, address(second));
        uint48 from = uint48(block.timestamp + 14 days);
        vm.warp(from);
        uint64 current = emission.epochOf(modelId, from);
        uint256 most = (30 days / EPOCH + 2) * COMPUTE_BUDGET;
        eq(emission.authorisableBy(address(second), modelId, COMPUTE, 1, current, 0), most, "of 30 days");
        vm.startPrank(address(second));
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionOverBudget.selector, most + 1, most));
        emission.authorise(modelId, COMPUTE, 1, current, 0, most + 1);
        // What was there when it took over does not lapse while a root of it is disputed.
        vm.warp(from + 20 days);
        eq(emission.authorisableBy(address(second), modelId, COMPUTE, 1, current, from), most, "as it was");
        emission.authorise(modelId, COMPUTE, 1, current, from, most);
        vm.stopPrank();
    }

    function test_namingAnotherBeginsAnew() public {
        _name(COMPUTE, address(second));
        vm.warp(block.timestamp + 14 days - 1);
        ComputeRewards third = new ComputeRewards(registry, emission, validators, bootstrap, revenue);
        _name(COMPUTE, address(third));
        vm.warp(block.timestamp + 14 days - 1);
        eq(emission.distributorFor(modelId, COMPUTE), address(first), "still the first");
        vm.warp(block.timestamp + 1);
        eq(emission.distributorFor(modelId, COMPUTE), address(third), "the third");
        _refused(address(second), COMPUTE);
        // It never distributed, so it may be named again; the first may not.
        _refusedSuccessor(COMPUTE, address(first));
        _name(COMPUTE, address(second));
    }

    function test_namingThePresentOneTakesItBack() public {
        _name(COMPUTE, address(second));
        vm.warp(block.timestamp + 14 days - 1);
        vm.expectEmit(address(emission));
        emit IEmission.SuccessorNamed(modelId, COMPUTE, address(first), address(first), uint48(block.timestamp));
        _name(COMPUTE, address(first));
        vm.warp(block.timestamp + 30 days);
        eq(emission.distributorFor(modelId, COMPUTE), address(first), "stays");
        _authorise(address(first), COMPUTE, 1);
    }

    // --- compute --------------------------------------------------------------------------------------------------------

    function test_aPendingRootOfTheOldOneIsVoid() public {
        settle(1, leafOf(1, AUTHOR, 10e18), 10e18);
        _name(COMPUTE, address(second));
        vm.warp(block.timestamp + 14 days - WINDOW);
        uint64 over = emission.epochOf(modelId, uint48(block.timestamp)) - 1;
        post(attest(over, "root", 1e18));
        vm.warp(block.timestamp + WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, COMPUTE, address(first)));
        first.activate(posted);
        // What was active before is claimed for ever.
        eq(shares.balanceOf(address(first)), 10e18, "what it owes");
    }

    function test_theOldOneTakesNoMoreRoots() public {
        _name(COMPUTE, address(second));
        vm.warp(block.timestamp + 14 days);
        uint64 over = emission.epochOf(modelId, uint48(block.timestamp)) - 1;
        Attestation memory a = attest(over, "root", 1);
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsOverBudget.selector, 1, 0));
        first.postRoot(a, signatures);
    }

    function test_theNewOneBeginsAfterWhatWasAuthorised() public {
        settle(2, "root", 2 * COMPUTE_BUDGET);
        _name(COMPUTE, address(second));
        vm.warp(block.timestamp + 14 days);
        rewards = second;
        uint64 over = emission.epochOf(modelId, uint48(block.timestamp)) - 1;
        Attestation memory a = attest(over, "next", uint256(over - 2) * COMPUTE_BUDGET);
        a.previousRoot = 0;
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.expectRevert(
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsWrongEpochs.selector, uint64(1), over, uint64(3))
        );
        second.postRoot(a, signatures);
        a.fromEpoch = 3;
        a.total += 1;
        signatures = signedBy(quorum(), digestOf(a));
        vm.expectRevert(
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsOverBudget.selector, a.total, a.total - 1)
        );
        second.postRoot(a, signatures);
        a.total -= 1;
        post(a);
        vm.warp(block.timestamp + WINDOW);
        second.activate(posted);
        eq(shares.balanceOf(address(second)), a.total, "minted to the one that pays");
        eq(shares.totalSupply(), uint256(over) * COMPUTE_BUDGET, "and no epoch twice");
        eq(emission.authorisedThrough(modelId, COMPUTE), over, "through");
        eq(emission.mintedOf(modelId, COMPUTE), uint256(over) * COMPUTE_BUDGET, "by both together");
    }

    function test_nobodyPostsBeforeItsTime() public {
        _name(COMPUTE, address(second));
        vm.warp(block.timestamp + 14 days - 1);
        rewards = second;
        Attestation memory a = attest(emission.epochOf(modelId, uint48(block.timestamp)) - 1, "root", 1);
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.expectRevert(abi.encodeWithSelector(IComputeRewards.ComputeRewardsOverBudget.selector, 1, 0));
        second.postRoot(a, signatures);
    }

    /// @dev A root that pays nothing needs no budget, so that the old one takes it. What the new one has authorised reaches beyond the
    /// old one's first root, which waits for a vote.
    function test_aDisputedFirstRootOfTheOldOneIsNotPostedOver() public {
        _name(COMPUTE, address(second));
        afterEpoch(1);
        post(attest(1, "false", 1));
        (uint256 bond, , ) = first.bondOf(modelId, COMPUTE);
        vm.deal(address(this), bond);
        bytes32 digest = nameOf(posted);
        first.dispute{value: bond}(modelId, COMPUTE, digest, Digest.wrap("evidence"));

        vm.warp(block.timestamp + 14 days);
        uint64 over = emission.epochOf(modelId, uint48(block.timestamp)) - 1;
        rewards = second;
        settle(over, "root", 1);
        rewards = first;
        afterEpoch(over + 1);
        Attestation memory a = attest(over + 1, "another", 0);
        a.fromEpoch = over + 1;
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.expectRevert(
            abi.encodeWithSelector(IComputeRewards.ComputeRewardsRootPending.selector, uint64(1), type(uint48).max)
        );
        first.postRoot(a, signatures);
        first.settleDispute(modelId, COMPUTE, digest);
        eq(first.credit(address(this)), bond - (bond + 4) / 5, "what the bond leaves where nobody voted");
    }

    // --- code -------------------------------------------------------------------------------------------------------

    function test_oldGrantsArePaidAndRevokedAsBefore() public {
        bytes32 paid = approve(grantOf(AUTHOR, 10e18));
        Grant memory long = grantOf(address(0xa5), 20e18);
        (long.cliff, long.duration) = (0, 140 days);
        bytes32 ended = approve(long);
        CodeGrants next = new CodeGrants(registry, emission, validators);
        _name(CODE, address(next));
        vm.warp(block.timestamp + 14 days);
        eq(grants.claim(modelId, paid), 10e18, "paid");
        Grant memory grant = grantOf(AUTHOR, 1e18);
        bytes memory signatures = signedGrant(grant);
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, CODE, address(grants)));
        grants.approve(grant, REPOSITORY, signatures);
        vm.prank(address(timelock));
        grants.revoke(modelId, ended);
        eq(shares.balanceOf(address(grants)), 2e18, "what is not due is burned");
        eq(grants.claim(modelId, ended), 2e18, "what is due is paid");

        vm.startPrank(address(timelock));
        grant.setVersion = 0;
        next.approveByVote(grant, REPOSITORY);
        vm.stopPrank();
        eq(shares.balanceOf(address(next)), 1e18, "the new one approves");
    }

    function _name(uint8 kind, address successor) private {
        vm.prank(address(timelock));
        emission.nameSuccessor(modelId, kind, successor);
    }

    function _authorise(address distributor, uint8 kind, uint256 amount) private {
        vm.prank(distributor);
        emission.draw(modelId, kind, amount);
    }

    function _refused(address distributor, uint8 kind) private {
        uint64 epoch = emission.epochOf(modelId, uint48(block.timestamp));
        vm.startPrank(distributor);
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, kind, distributor));
        emission.authorise(modelId, kind, epoch, epoch, uint48(block.timestamp), 1);
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionNotDistributor.selector, kind, distributor));
        emission.draw(modelId, kind, 1);
        vm.stopPrank();
    }

    function _refusedSuccessor(uint8 kind, address successor) private {
        vm.expectRevert(abi.encodeWithSelector(IEmission.EmissionBadSuccessor.selector, kind, successor));
        _name(kind, successor);
    }
}

/// @notice A sale of the old contract cannot be settled any more, so its money goes back at once.
contract SuccessorOfTheSaleTest is Capital {
    function test_anOldSaleTakesNoMoneyAndGivesItBack() public {
        vm.prank(address(timelock));
        emission.nameSuccessor(modelId, CAPITAL, address(rewards));
        vm.warp(block.timestamp + 14 days - 1);
        uint64 epoch = current();
        deposit(BUYER, 100e6);
        vm.warp(block.timestamp + 1);
        uint64 next = current();
        vm.expectRevert(abi.encodeWithSelector(ICapitalSale.CapitalSaleNothingForSale.selector, next));
        vm.prank(BUYER);
        capital.deposit(modelId, next, BUYER, 1);
        if (next == epoch) afterEpoch(epoch);
        yes(saleOf(epoch).state == SaleState.Failed, "not to be settled");
        capital.refund(modelId, epoch, BUYER, 0);
        eq(dollar.balanceOf(BUYER), 100e6, "given back");
    }
}
