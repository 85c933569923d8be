// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Outcome} from "../../contracts/interfaces/IDisputes.sol";
import {HeadHash, ModelId} from "../../contracts/interfaces/Ids.sol";
import {ProposedRuling, Role, RulingState, Stake} from "../../contracts/interfaces/IStakeManager.sol";
import {COMPUTE} from "../../contracts/interfaces/Kinds.sol";
import {Attestation, Receipt, Ruling, Verdict} from "../../contracts/interfaces/Statements.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {StakeManager} from "../../contracts/staking/StakeManager.sol";
import {Invariants} from "./support/Invariants.sol";
import {Stakes} from "./support/Stakes.sol";

/// @notice What happens to stake: it is put up, leaves, is paid, and is slashed in every way, while roots are disputed, sets of
/// validators change and a twin model has stake of its own. Whoever may not withdraw tries to as well, and so does whoever
/// punishes an offence a second time: those calls must fail, each of the others must succeed.
contract StakeHandler is Stakes {
    /// @dev Two validators and two who never were, as workers too.
    uint256[4] private _keys;
    address[4] public accounts;
    ModelId public twin;
    bytes32[] private _subjects;
    uint256 private _counted;
    uint32 private _dispute;
    /// @dev When the last dispute ended, and when one voided a root.
    uint256 private _ended;
    uint256 private _voided;
    /// @dev Since when the first account is in no set; 0 while it is.
    uint256 private _outSince;

    uint256 public deposited;
    uint256 public withdrawn;
    uint256 public slashed;
    uint256 public collected;
    bool public broken;

    constructor() {
        setUp();
        _keys = [keys[0], keys[1], WORKER_KEY, 88];
        for (uint256 i = 0; i < 4; ++i) accounts[i] = vm.addr(_keys[i]);
        twin = registry.createModel(modelConfig(), "twin");
    }

    function views() external view returns (ModelId, StakeManager) {
        return (modelId, stakes);
    }

    function pass(uint16 time) external {
        vm.warp(block.timestamp + bound(time, 1, 60));
    }

    function deposit(uint8 who, uint8 role, bool toTwin, uint96 amount) external {
        amount = uint96(bound(amount, 1, 1e24));
        stakes.deposit{value: amount}(toTwin ? twin : modelId, _role(role), accounts[who % 4]);
        deposited += amount;
    }

    function request(uint8 who, uint8 role, uint96 amount) external {
        uint256 active = stakes.activeOf(modelId, _role(role), accounts[who % 4]);
        if (active != 0) request(_role(role), accounts[who % 4], uint96(bound(amount, 1, active)));
    }

    function withdraw(uint8 who, uint8 role) external {
        address account = accounts[who % 4];
        Stake memory stake = stakes.stakeOf(modelId, _role(role), account);
        uint256 due = stake.requestedAt + (_role(role) == VALIDATOR ? RETIRE : LEAVE);
        if (_role(role) == VALIDATOR && who % 4 == 0) {
            due =
                _outSince == 0
                    ? type(uint256).max
                    : RETIRE + (_outSince > stake.requestedAt ? _outSince : stake.requestedAt);
        }
        if (_role(role) == VALIDATOR && who % 4 == 1) due = type(uint256).max;
        bool held = _role(role) == VALIDATOR && _held();
        bool free = stake.leaving != 0 && stake.rulings == 0 && block.timestamp >= due && !held;
        vm.prank(account);
        try stakes.withdraw(modelId, _role(role), payable(PAYEE)) returns (uint256 amount) {
            if (!free || amount != stake.leaving) broken = true;
            withdrawn += amount;
        } catch {
            if (free) broken = true;
        }
    }

    function conflict(uint8 who) external {
        uint256 key = _keys[who % 4];
        Verdict memory a = verdictOf(1);
        (a.validator, a.head) = (vm.addr(key), HeadHash.wrap(bytes32(++_counted)));
        Verdict memory b = abi.decode(abi.encode(a), (Verdict));
        b.value = 2;
        uint256 whole = _whole(VALIDATOR, a.validator);
        if (whole == 0) return;
        (bytes memory x, bytes memory y) = (signVerdict(key, a), signVerdict(key, b));
        vm.prank(REPORTER);
        uint256 amount = stakes.slashVerdicts(a, x, b, y);
        _lost(amount, whole, 5_000, VALIDATOR, a.validator);
        try stakes.slashVerdicts(b, y, a, x) {
            broken = true;
        } catch {}
    }

    function voidRoot(uint8 who) external {
        uint256 key = _keys[who % 4];
        Attestation memory a = attestation();
        a.total = ++_counted;
        book.rule(ProtocolHashes.hashAttestation(a), Outcome.Void, ALICE);
        uint256 whole = _whole(VALIDATOR, vm.addr(key));
        if (whole == 0) return;
        bytes memory signed = signature(key, digestOf(a));
        uint256 amount = stakes.slashVoided(a, signed);
        _lost(amount, whole, 1_000, VALIDATOR, vm.addr(key));
        try stakes.slashVoided(a, signed) {
            broken = true;
        } catch {}
    }

    function propose() external {
        uint256 whole = _whole(WORKER, worker) - stakes.stakeOf(modelId, WORKER, worker).ruled;
        if (whole == 0) return;
        // Out of turn the first validator would be missing.
        if (validators.currentVersion(modelId) != 1) return;
        bytes32 subject = accuse(uint64(++_counted));
        _subjects.push(subject);
        if (stakes.rulingOf(modelId, worker, subject).amount != _cap(whole, 1_000)) broken = true;
    }

    function veto(uint256 which) external {
        if (_subjects.length == 0) return;
        vm.prank(address(timelock));
        stakes.vetoRuling(modelId, worker, _subjects[which % _subjects.length]);
    }

    function execute(uint256 which) external {
        if (_subjects.length == 0) return;
        bytes32 subject = _subjects[which % _subjects.length];
        ProposedRuling memory ruling = stakes.rulingOf(modelId, worker, subject);
        bool due = ruling.state == RulingState.Proposed && block.timestamp >= ruling.vetoEnds;
        uint256 whole = _whole(WORKER, worker);
        try stakes.executeRuling(modelId, worker, subject) returns (uint256 amount) {
            if (!due || amount != ruling.amount || amount != whole - _whole(WORKER, worker)) broken = true;
            slashed += amount;
        } catch {
            if (due) broken = true;
        }
    }

    function collect(bool disputers) external {
        collected += stakes.collectFees(payable(disputers ? ALICE : REPORTER));
    }

    function dispute() external {
        book.set(modelId, COMPUTE, ++_dispute, Outcome.Open);
        _ended = 0;
    }

    function settle(uint8 outcome) external {
        if (_dispute == 0 || _ended != 0) return;
        Outcome how = Outcome(bound(outcome, 1, 3));
        book.set(modelId, COMPUTE, _dispute, how);
        _ended = block.timestamp;
        if (how == Outcome.Void) _voided = block.timestamp;
    }

    /// @dev Without the first validator, or with it again; a set changes once an epoch.
    function replaceSet() external {
        uint256 first = _outSince == 0 ? 1 : 0;
        uint256[] memory some = new uint256[](keys.length - first);
        for (uint256 i = 0; i < some.length; ++i) some[i] = keys[first + i];
        uint32 newest = validators.latestVersion(modelId);
        vm.warp(block.timestamp + EPOCH);
        if (first == 0) {
            vm.prank(vm.addr(keys[0]));
            validators.consent(modelId, true);
        }
        vm.prank(address(timelock));
        validators.setValidators(modelId, newest, addressesOf(some), 5);
        _outSince = first == 0 ? 0 : block.timestamp + WINDOW;
    }

    // --- sums -----------------------------------------------------------------------------------------------------------

    function staked() external view returns (uint256 sum) {
        for (uint256 i = 0; i < 4; ++i) {
            sum += _whole(WORKER, accounts[i]) + _whole(VALIDATOR, accounts[i]);
            for (uint8 role = 0; role < 2; ++role) {
                Stake memory stake = stakes.stakeOf(twin, Role(role), accounts[i]);
                sum += uint256(stake.active) + stake.leaving;
            }
        }
    }

    function openRulings() external view returns (uint256 count, uint256 ruled) {
        for (uint256 i = 0; i < _subjects.length; ++i) {
            ProposedRuling memory ruling = stakes.rulingOf(modelId, worker, _subjects[i]);
            if (ruling.state != RulingState.Proposed) continue;
            ++count;
            ruled += ruling.amount;
        }
    }

    function fees() external view returns (uint256) {
        return stakes.feesOf(REPORTER) + stakes.feesOf(ALICE);
    }

    function _lost(uint256 amount, uint256 whole, uint256 bps, Role role, address account) private {
        if (amount != _cap(whole, bps) || _whole(role, account) != whole - amount) broken = true;
        slashed += amount;
    }

    function _held() private view returns (bool) {
        if (_dispute != 0 && _ended == 0) return true;
        return _voided != 0 && block.timestamp < _voided + WINDOW + VOTE;
    }

    function _whole(Role role, address account) private view returns (uint256) {
        Stake memory stake = stakes.stakeOf(modelId, role, account);
        return uint256(stake.active) + stake.leaving;
    }

    function _cap(uint256 whole, uint256 bps) private pure returns (uint256) {
        return (whole * bps + 9_999) / 10_000;
    }

    function _role(uint8 role) private pure returns (Role) {
        return role % 2 == 0 ? WORKER : VALIDATOR;
    }
}

contract StakeInvariants is Invariants {
    StakeHandler private handler;

    function setUp() public override {
        handler = new StakeHandler();
        vm.deal(address(handler), 2 ** 128);
    }

    function target() internal view override returns (address, bytes4[] memory selectors) {
        selectors = new bytes4[](16);
        selectors[0] = StakeHandler.pass.selector;
        selectors[1] = StakeHandler.pass.selector;
        selectors[2] = StakeHandler.deposit.selector;
        selectors[3] = StakeHandler.deposit.selector;
        selectors[4] = bytes4(keccak256("request(uint8,uint8,uint96)"));
        selectors[5] = StakeHandler.withdraw.selector;
        selectors[6] = StakeHandler.withdraw.selector;
        selectors[7] = StakeHandler.conflict.selector;
        selectors[8] = StakeHandler.voidRoot.selector;
        selectors[9] = StakeHandler.propose.selector;
        selectors[10] = StakeHandler.veto.selector;
        selectors[11] = StakeHandler.execute.selector;
        selectors[12] = StakeHandler.collect.selector;
        selectors[13] = StakeHandler.dispute.selector;
        selectors[14] = StakeHandler.settle.selector;
        selectors[15] = StakeHandler.replaceSet.selector;
        return (address(handler), selectors);
    }

    /// @dev Numbered as in the design. A revert fails the run, so that what may leave can always be withdrawn.
    function invariant_stakeIsThere() external {
        (modelId, stakes) = handler.views();
        yes(
            !handler.broken(),
            "21, 22 each call did what it promises: nobody left early, nothing was punished twice or beyond its cap"
        );
        uint256 staked = handler.staked();
        eq(
            staked + handler.slashed(),
            handler.deposited() - handler.withdrawn(),
            "20 what was put up is there, paid or slashed"
        );
        eq(
            address(stakes).balance,
            handler.deposited() - handler.withdrawn() - handler.collected(),
            "nothing else leaves"
        );
        yes(address(stakes).balance >= staked + handler.fees(), "2 the contract holds what it owes");
        yes((handler.fees() + handler.collected()) * 20 <= handler.slashed(), "fees are a twentieth at most");
        Stake memory accused = stakes.stakeOf(modelId, Role.Worker, handler.accounts(2));
        (uint256 count, uint256 ruled) = handler.openRulings();
        eq(accused.rulings, count, "rulings are counted while they are open");
        eq(accused.ruled, ruled, "and so is what they take");
        yes(uint256(accused.active) + accused.leaving >= ruled, "which is there");
    }
}
