// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {PendingRoot} from "../../contracts/interfaces/IComputeRewards.sol";
import {BondTerms, Dispute, Outcome} from "../../contracts/interfaces/IDisputes.sol";
import {Digest, ModelId} from "../../contracts/interfaces/Ids.sol";
import {Attestation} from "../../contracts/interfaces/Statements.sol";
import {Holders} from "./support/Holders.sol";
import {Invariants} from "./support/Invariants.sol";

/// @notice What disputes live through, in any order, in two models that the same people hold: roots are posted and backed,
/// disputed by either of two, voted on by three, ruled by the organiser, settled, activated, paid out. Calls that the contracts
/// must refuse are not made; each of the others must succeed.
contract DisputeHandler is Holders {
    address[2] private _disputers = [address(0xd151), address(0xd152)];
    address[2] private _backers = [address(0xbac1), address(0xbac2)];
    address[3] private _voters = [ALICE, BOB, CAROL];
    ModelId[2] private _models;
    Attestation[2] private _posted;
    bytes32[] private _voided;

    /// @dev Coins that the handler knows where they must be, in both models together.
    uint256 public bonds;
    uint256 public backings;
    uint256 public burned;
    uint256 public ended;
    uint48[2] private _postedAt;
    bool public broken;

    constructor() {
        setUp();
        for (uint256 i = 0; i < 2; ++i) {
            vm.deal(_disputers[i], 2 ** 100);
            vm.deal(_backers[i], 2 ** 100);
        }
        _models = [modelId, registry.createModel(modelConfig(), "second")];
        useModel(_models[1]);
        _mint(ALICE, 60e18);
        _mint(BOB, 30e18);
        _mint(CAROL, 5e18);
        vm.deal(address(rewards), 0);
    }

    function place() external view returns (address) {
        return address(rewards);
    }

    function pass(uint16 time) external {
        vm.warp(block.timestamp + bound(time, 1, 30));
    }

    function postRoot(uint256 seed) external {
        uint256 m = _use(seed);
        uint64 over = emission.epochOf(modelId, uint48(block.timestamp)) - 1;
        (, uint64 last, ) = rewards.newest(modelId, 1);
        if (over <= last || rewards.pending(modelId, 1).index != 0) return;
        uint64 epoch = uint64(bound(seed, last + 1, over));
        uint48 judged = rewards.ageJudgedAt(modelId, 1);
        Attestation memory a = attest(epoch, bytes32(seed | 1), 0);
        a.total = emission.authorisable(modelId, 1, last + 1, epoch, judged == 0 ? uint48(a.deadline) : judged);
        a.blockNumber = uint64(seed);
        if (rewards.disputeOf(nameOf(a)).endedAt != 0) return;
        (uint256 bond, , bool isDue) = rewards.bondOf(modelId, 1);
        bytes memory signatures = signedBy(quorum(), digestOf(a));
        vm.prank(_backers[seed % 2]);
        rewards.postRoot{value: isDue ? bond : 0}(a, signatures);
        _posted[m] = a;
        _postedAt[m] = uint48(block.timestamp);
        if (isDue) backings += bond;
        if (rewards.pending(modelId, 1).digest != nameOf(a)) broken = true;
    }

    function dispute(uint256 seed) external {
        uint256 m = _use(seed);
        PendingRoot memory next = rewards.pending(modelId, 1);
        if (next.index == 0 || block.timestamp >= next.activatableAt || _isOpen()) return;
        if (rewards.disputeOf(next.digest).endedAt != 0) return;
        (uint256 bond, , ) = rewards.bondOf(modelId, 1);
        address disputer = _disputers[(seed >> 1) % 2];
        uint256 before = rewards.credit(disputer);
        vm.prank(disputer);
        rewards.dispute{value: bond + (seed % 3)}(modelId, 1, nameOf(_posted[m]), Digest.wrap(bytes32(seed)));
        if (rewards.credit(disputer) != before + (seed % 3)) broken = true;
        bonds += bond;
    }

    function vote(uint256 seed, uint8 who, uint8 support) external {
        uint256 id = _current(_use(seed)).proposalId;
        if (id == 0 || uint256(governor.state(id)) != 1 || governor.hasVoted(id, _voters[who % 3])) return;
        vm.prank(_voters[who % 3]);
        governor.castVote(id, support % 3);
    }

    function settleDispute(uint256 seed) external {
        uint256 m = _use(seed);
        Dispute memory current = _current(m);
        if (!_isOpen() || block.timestamp <= governor.proposalDeadline(current.proposalId)) return;
        rewards.settleDispute(modelId, 1, nameOf(_posted[m]));
        _end(m, current);
        Outcome outcome = _current(m).outcome;
        if (_current(m).voted != (outcome != Outcome.Undecided)) broken = true;
        (uint256 against, uint256 inFavour, ) = governor.proposalVotes(current.proposalId);
        uint256 needed = governor.quorum(governor.proposalSnapshot(current.proposalId));
        if (outcome == Outcome.Void && (against < needed || against < inFavour)) broken = true;
        if (outcome == Outcome.Stands && (inFavour < needed || inFavour <= against)) broken = true;
        if (outcome == Outcome.Undecided && (inFavour >= needed || against >= needed)) broken = true;
    }

    function rule(uint256 seed, bool stands) external {
        uint256 m = _use(seed);
        Dispute memory current = _current(m);
        if (!_isOpen() || block.timestamp > current.rulableUntil) return;
        if (stands) {
            uint256 late = current.rulableUntil - (current.rulableUntil - current.openedAt) / 4;
            if (block.timestamp < current.activatableAt && block.timestamp < late) return;
            (uint256 against, uint256 inFavour, ) = governor.proposalVotes(current.proposalId);
            uint256 most = against > inFavour ? against : inFavour;
            if (most != 0 && most >= governor.quorum(governor.proposalSnapshot(current.proposalId))) return;
        }
        vm.prank(ORGANISER);
        rewards.rule(modelId, 1, nameOf(_posted[m]), stands);
        _end(m, current);
        if (_current(m).outcome != (stands ? Outcome.Stands : Outcome.Undecided) || _current(m).voted) broken = true;
    }

    function activate(uint256 seed) external {
        uint256 m = _use(seed);
        PendingRoot memory next = rewards.pending(modelId, 1);
        if (next.index == 0 || block.timestamp < next.activatableAt) return;
        uint256 backing = rewards.backingOf(modelId, 1).amount;
        rewards.activate(_posted[m]);
        backings -= backing;
        if (block.timestamp < _postedAt[m] + WINDOW || rewards.backingOf(modelId, 1).amount != 0) broken = true;
        (, uint8 level, bool isDue) = rewards.bondOf(modelId, 1);
        if (isDue || level > 10) broken = true;
    }

    function withdraw(uint8 who) external {
        address account = who % 2 == 0 ? _disputers[(who / 2) % 2] : _backers[(who / 2) % 2];
        uint256 due = rewards.credit(account);
        uint256 balance = account.balance;
        if (rewards.withdraw(account) != due || account.balance != balance + due) broken = true;
    }

    function setBond(uint256 seed, uint96 base) external {
        _use(seed);
        BondTerms memory terms = rewards.bondTermsOf(modelId);
        if (terms.setAt != 0 && block.timestamp < terms.setAt + 30 days) return;
        base = uint96(bound(base, (terms.base + 15) / 16, uint256(terms.base) * 16));
        if (base > 2 ** 80) return;
        vm.prank(address(timelock));
        rewards.setBond(modelId, terms.version, base);
    }

    function credits() external view returns (uint256 sum) {
        for (uint256 i = 0; i < 2; ++i) sum += rewards.credit(_disputers[i]) + rewards.credit(_backers[i]);
        for (uint256 i = 0; i < 2; ++i) sum += rewards.credit(registry.timelockOf(_models[i]));
    }

    /// @dev What was void is neither pending nor active, in either model, and stays ruled.
    function voidedStayVoid() external view returns (bool) {
        for (uint256 i = 0; i < _voided.length; ++i) {
            Dispute memory past = rewards.disputeOf(_voided[i]);
            if (past.endedAt == 0 || (past.outcome != Outcome.Void && past.outcome != Outcome.Undecided)) return false;
            for (uint256 m = 0; m < 2; ++m) if (rewards.pending(_models[m], 1).digest == _voided[i]) return false;
        }
        return true;
    }

    function frozenWhereDisputed() external view returns (bool) {
        for (uint256 m = 0; m < 2; ++m) {
            (bytes32 disputed, ) = rewards.disputedOf(_models[m], 1);
            bool isOpen = disputed != 0;
            PendingRoot memory next = rewards.pending(_models[m], 1);
            if (isOpen != (next.index != 0 && next.activatableAt == type(uint48).max)) return false;
            if (isOpen && next.digest != disputed) return false;
        }
        return true;
    }

    function _end(uint256 m, Dispute memory current) private {
        Dispute memory now_ = _current(m);
        if (now_.endedAt != block.timestamp) broken = true;
        uint256 backing = rewards.pending(modelId, 1).index == 0 ? _backingBefore() : 0;
        ++ended;
        bonds -= current.bond;
        backings -= backing;
        if (now_.outcome == Outcome.Stands) burned += (current.bond + 1) / 2;
        else if (now_.outcome == Outcome.Void) burned += (backing + 1) / 2;
        else burned += (current.bond + 4) / 5 + (backing + 4) / 5;
        if (now_.outcome != Outcome.Stands) _voided.push(nameOf(_posted[m]));
    }

    /// @dev The backing of what has just failed: what the two models still hold is known.
    function _backingBefore() private view returns (uint256) {
        uint256 held = 0;
        for (uint256 i = 0; i < 2; ++i) held += rewards.backingOf(_models[i], 1).amount;
        return backings - held;
    }

    function _isOpen() private view returns (bool) {
        (bytes32 disputed, ) = rewards.disputedOf(modelId, 1);
        return disputed != 0;
    }

    /// @dev About what was posted last.
    function _current(uint256 m) private view returns (Dispute memory) {
        return rewards.disputeOf(nameOf(_posted[m]));
    }

    function _use(uint256 seed) private returns (uint256 m) {
        m = (seed >> 8) % 2;
        useModel(_models[m]);
    }
}

contract DisputeInvariants is Invariants {
    DisputeHandler private handler;

    function setUp() public override {
        handler = new DisputeHandler();
    }

    function target() internal view override returns (address, bytes4[] memory selectors) {
        selectors = new bytes4[](14);
        selectors[0] = DisputeHandler.pass.selector;
        selectors[1] = DisputeHandler.pass.selector;
        selectors[2] = DisputeHandler.postRoot.selector;
        selectors[3] = DisputeHandler.postRoot.selector;
        selectors[4] = DisputeHandler.dispute.selector;
        selectors[5] = DisputeHandler.dispute.selector;
        selectors[6] = DisputeHandler.vote.selector;
        selectors[7] = DisputeHandler.vote.selector;
        selectors[8] = DisputeHandler.settleDispute.selector;
        selectors[9] = DisputeHandler.settleDispute.selector;
        selectors[10] = DisputeHandler.rule.selector;
        selectors[11] = DisputeHandler.activate.selector;
        selectors[12] = DisputeHandler.withdraw.selector;
        selectors[13] = DisputeHandler.setBond.selector;
        return (address(handler), selectors);
    }

    /// @dev Numbered as in the design. A revert fails the run, so that what is due can always be settled and withdrawn.
    function invariant_disputesKeepTheirPromises() external view {
        yes(!handler.broken(), "7, 18 each call did what it promises, and what is void a quorum or the court voided");
        uint256 owed = handler.bonds() + handler.backings() + handler.credits();
        eq(handler.place().balance, owed + handler.burned(), "2, 10 each bond ends once: returned, won or burned");
        yes(handler.voidedStayVoid(), "8 what is void is never accepted again");
        yes(handler.frozenWhereDisputed(), "9, 28 a dispute freezes its root, and nothing else");
    }
}
