// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Emission} from "../../contracts/emission/Emission.sol";
import {Founder, GrantState} from "../../contracts/interfaces/ICodeGrants.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {CODE} from "../../contracts/interfaces/Kinds.sol";
import {Grant} from "../../contracts/interfaces/Statements.sol";
import {ModelShares} from "../../contracts/models/ModelShares.sol";
import {CodeGrants} from "../../contracts/rewards/CodeGrants.sol";
import {Grants} from "./support/Grants.sol";
import {Invariants} from "./support/Invariants.sol";

/// @notice What happens to a model's code: budgets change, grants are approved both ways, claimed and revoked, maintainers are
/// replaced and all that they approved is voided and burned, and the epochs of a twin model go on beside. Calls that the contracts must refuse are not made; each of the others must succeed.
contract GrantHandler is Grants {
    /// @dev Of the twin, whose founders they are.
    uint128 public constant FOUNDERS = 777e18;

    address[3] public authors = [address(0xa1), address(0xa2), address(0xa3)];
    bytes32[] private _ids;
    ModelId[] private _models;
    /// @dev What was minted for a grant and not burned of it.
    mapping(bytes32 id => uint256) private _left;
    /// @dev A set changes once an epoch.
    uint64 private _replacedIn = 1;

    ModelId public twin;
    uint256 public minted;
    uint256 public burned;
    uint256 public scheduled;
    uint64 public scheduledThrough;
    bool public broken;

    constructor() {
        setUp();
        ModelConfig memory config = modelConfig();
        config.founders.list = new Founder[](1);
        config.founders.list[0] = Founder(authors[2], FOUNDERS);
        (config.founders.cliff, config.founders.duration) = (365 days / 4, 365 days);
        config.yearlyCap += FOUNDERS;
        twin = registry.createModel(config, "twin");
        Grant memory grant;
        (grant.modelId, grant.author, grant.amount) = (twin, authors[2], FOUNDERS);
        (grant.start, grant.cliff, grant.duration) = (uint64(block.timestamp), 365 days / 4, 365 days);
        _ids.push(grants.grantIdOf(grant));
        _models.push(twin);
        _left[_ids[0]] = FOUNDERS;
        _count();
    }

    function views() external view returns (ModelId, address, address, address) {
        return (modelId, address(grants), address(emission), address(shares));
    }

    function pass(uint16 time) external {
        vm.warp(block.timestamp + bound(time, 1, 60));
        _count();
    }

    function setBudget(uint128 perEpoch, uint16 code) external {
        code = uint16(bound(code, 0, 10_000));
        uint32 newest = newestBudget(modelId);
        vm.prank(address(timelock));
        emission.setBudget(modelId, newest, uint128(bound(perEpoch, 0, BUDGET)), split(10_000 - code, code, 0, 0));
    }

    function setCaps(uint128 perAuthor, uint128 perEpoch) external {
        uint32 newest = grants.capsOf(modelId).version;
        vm.prank(address(timelock));
        grants.setCaps(modelId, newest, uint128(bound(perAuthor, 0, BUDGET)), uint128(bound(perEpoch, 0, BUDGET)));
    }

    function approve(uint8 who, uint256 amount, uint32 cliff, uint32 duration) external {
        Grant memory grant = _grant(who, cliff, duration);
        uint64 epoch = emission.epochOf(modelId, uint48(block.timestamp));
        (uint256 byAuthor, uint256 inAll) = grants.approvedIn(modelId, epoch, grant.author);
        grant.setVersion = validators.currentMaintainers(modelId);
        if (grants.voidedAt(modelId, grant.setVersion) != 0) return;
        uint256 most = _least(_room(grants.capsOf(modelId).perAuthor, byAuthor), budgetLeft());
        most = _least(most, _room(grants.capsOf(modelId).perEpoch, inAll));
        if (most == 0) return;
        grant.amount = uint128(bound(amount, 1, most));
        bytes32 id = grants.approve(grant, REPOSITORY, signedGrant(grant));
        if (grants.grantOf(modelId, id).vetoEnds != block.timestamp + VETO) broken = true;
        _note(modelId, id, grant.amount);
    }

    function approveByVote(uint8 who, uint256 amount, uint32 cliff, uint32 duration) external {
        Grant memory grant = _grant(who, cliff, duration);
        uint256 most = budgetLeft();
        if (most == 0) return;
        grant.amount = uint128(bound(amount, 1, most));
        grant.setVersion = 0;
        vm.prank(address(timelock));
        _note(modelId, grants.approveByVote(grant, REPOSITORY), grant.amount);
    }

    /// @dev The twin's shares lie in the same contract.
    function approveOfTwin(uint256 amount) external {
        Grant memory grant = _grant(0, 0, 50);
        grant.modelId = twin;
        grant.setVersion = 0;
        uint256 most = emission.authorisable(twin, CODE, 1, type(uint64).max, uint48(block.timestamp));
        if (most == 0) return;
        grant.amount = uint128(bound(amount, 1, most));
        vm.prank(registry.timelockOf(twin));
        bytes32 id = grants.approveByVote(grant, REPOSITORY);
        _ids.push(id);
        _models.push(twin);
        _left[id] = grant.amount;
    }

    /// @dev The same people again, as another set.
    function replaceMaintainers(uint8 often) external {
        if (often % 4 != 0) return;
        uint32 newest = validators.latestMaintainers(modelId);
        uint64 epoch = emission.epochOf(modelId, uint48(block.timestamp));
        if (newest != validators.currentMaintainers(modelId) || epoch == _replacedIn) return;
        _replacedIn = epoch;
        vm.prank(address(timelock));
        validators.setMaintainers(modelId, newest, addressesOf(maintainers), 2);
    }

    /// @dev Now and then: a voided set approves no more.
    function voidSet(uint8 often, uint32 which) external {
        if (often % 4 != 0) return;
        uint32 version = uint32(bound(which, 1, validators.latestMaintainers(modelId)));
        uint48 before = grants.voidedAt(modelId, version);
        vm.prank(address(timelock));
        grants.voidSet(modelId, version);
        if (grants.voidedAt(modelId, version) != (before == 0 ? block.timestamp : before)) broken = true;
    }

    function burnVoided(uint256 which, uint256 more) external {
        if (_ids.length == 0) return;
        bytes32[] memory ids = new bytes32[](2);
        ModelId id = _models[bound(which, 0, _ids.length - 1)];
        ids[0] = _ids[bound(which, 0, _ids.length - 1)];
        ids[1] = _ids[bound(more, 0, _ids.length - 1)];
        if (grants.grantOf(id, ids[1]).author == address(0)) ids[1] = ids[0];
        uint256 expected;
        for (uint256 i = 0; i < 2; ++i) {
            GrantState memory grant = grants.grantOf(id, ids[i]);
            if (grants.voidedAt(id, grant.setVersion) == 0) continue;
            expected += _left[ids[i]] - grant.amount;
            _left[ids[i]] = grant.amount;
        }
        if (grants.burnVoided(id, ids) != expected) broken = true;
        if (ModelId.unwrap(id) == ModelId.unwrap(modelId)) burned += expected;
    }

    function claim(uint256 which) external {
        if (_ids.length == 0) return;
        uint256 i = bound(which, 0, _ids.length - 1);
        ModelShares token = ModelShares(registry.sharesOf(_models[i]));
        GrantState memory before = grants.grantOf(_models[i], _ids[i]);
        uint256 due = grants.dueAt(_models[i], _ids[i], uint48(block.timestamp));
        uint256 balance = token.balanceOf(before.author);
        uint256 amount = grants.claim(_models[i], _ids[i]);
        if (amount != due - before.claimed || token.balanceOf(before.author) != balance + amount) broken = true;
        uint48 end = grants.voidedAt(_models[i], before.setVersion);
        if (end != 0 && end < before.vetoEnds && due != 0) broken = true;
        if (block.timestamp < before.vetoEnds && amount != 0) broken = true;
    }

    function revoke(uint256 which) external {
        if (_ids.length == 0) return;
        uint256 i = bound(which, 0, _ids.length - 1);
        GrantState memory before = grants.grantOf(_models[i], _ids[i]);
        uint256 due = grants.dueAt(_models[i], _ids[i], uint48(block.timestamp));
        ModelShares token = ModelShares(registry.sharesOf(_models[i]));
        uint256 supply = token.totalSupply();
        vm.prank(registry.timelockOf(_models[i]));
        grants.revoke(_models[i], _ids[i]);
        uint256 gone = _left[_ids[i]] - due;
        _left[_ids[i]] = due;
        if (token.totalSupply() != supply - gone || due > before.amount) broken = true;
        if (grants.grantOf(_models[i], _ids[i]).amount != due) broken = true;
        if (ModelId.unwrap(_models[i]) == ModelId.unwrap(modelId)) burned += gone;
    }

    function transfer(uint8 from, uint8 to, uint256 amount) external {
        uint256 balance = shares.balanceOf(authors[from % 3]);
        vm.prank(authors[from % 3]);
        // Now and then to the contract itself, which owes nothing for it.
        shares.transfer(to % 4 == 3 ? address(grants) : authors[to % 4], bound(amount, 0, balance));
    }

    /// @dev What a model's grants have not paid, what they have, and what is voided and to be burned.
    function owed(ModelId id) external view returns (uint256 left, uint256 paid, uint256 toBurn) {
        for (uint256 i = 0; i < _ids.length; ++i) {
            if (ModelId.unwrap(_models[i]) != ModelId.unwrap(id)) continue;
            GrantState memory grant = grants.grantOf(id, _ids[i]);
            left += grant.amount - grant.claimed;
            paid += grant.claimed;
            toBurn += _left[_ids[i]] - grant.amount;
        }
    }

    function sharesOfTwin() external view returns (ModelShares) {
        return ModelShares(registry.sharesOf(twin));
    }

    function _note(ModelId id, bytes32 grant, uint256 amount) private {
        _ids.push(grant);
        _models.push(id);
        _left[grant] = amount;
        minted += amount;
    }

    function _grant(uint8 who, uint32 cliff, uint32 duration) private view returns (Grant memory grant) {
        grant = grantOf(authors[who % 3], 0);
        grant.commit = bytes32(_ids.length + 1);
        grant.duration = uint32(bound(duration, 0, 200));
        grant.cliff = uint32(bound(cliff, 0, grant.duration));
    }

    /// @dev Sums code's part of each epoch once it has begun: what may be minted for it in all.
    function _count() private {
        uint64 current = emission.epochOf(modelId, uint48(block.timestamp));
        for (uint64 e = scheduledThrough + 1; e <= current; ++e) {
            scheduled +=
                (uint256(emission.budgetOf(modelId, e).perEpoch) * emission.budgetOf(modelId, e).codeBps) / 10_000;
        }
        scheduledThrough = current;
    }

    function _room(uint256 cap, uint256 used) private pure returns (uint256) {
        return cap > used ? cap - used : 0;
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}

contract GrantInvariants is Invariants {
    GrantHandler private handler;

    function setUp() public override {
        handler = new GrantHandler();
    }

    function target() internal view override returns (address, bytes4[] memory selectors) {
        selectors = new bytes4[](14);
        selectors[0] = GrantHandler.pass.selector;
        selectors[1] = GrantHandler.pass.selector;
        selectors[2] = GrantHandler.setBudget.selector;
        selectors[3] = GrantHandler.setCaps.selector;
        selectors[4] = GrantHandler.approve.selector;
        selectors[5] = GrantHandler.approve.selector;
        selectors[6] = GrantHandler.approveByVote.selector;
        selectors[7] = GrantHandler.approveOfTwin.selector;
        selectors[8] = GrantHandler.claim.selector;
        selectors[9] = GrantHandler.revoke.selector;
        selectors[10] = GrantHandler.transfer.selector;
        selectors[11] = GrantHandler.replaceMaintainers.selector;
        selectors[12] = GrantHandler.voidSet.selector;
        selectors[13] = GrantHandler.burnVoided.selector;
        return (address(handler), selectors);
    }

    /// @dev Numbered as in the design. A revert fails the run, so that what is due can always be claimed (27).
    function invariant_grantsKeepTheirPromises() external {
        (ModelId id, address grants_, address emission_, address shares_) = handler.views();
        (modelId, grants, emission, shares) = (id, CodeGrants(grants_), Emission(emission_), ModelShares(shares_));

        yes(!handler.broken(), "each call did what it promises");
        (uint256 owed, uint256 paid, uint256 toBurn) = handler.owed(id);
        eq(handler.minted(), owed + paid + toBurn + handler.burned(), "what was minted is owed, paid, burned or to be");
        eq(shares.totalSupply(), owed + paid + toBurn, "nothing else is minted or burned");
        yes(shares.balanceOf(grants_) >= owed + toBurn, "2 the contract holds what it owes, and what is to be burned");
        (uint256 twins, uint256 paidByTwin, uint256 toBurnByTwin) = handler.owed(handler.twin());
        yes(handler.sharesOfTwin().balanceOf(grants_) >= twins, "2 and for another model too");
        eq(
            handler.sharesOfTwin().totalSupply(),
            twins + paidByTwin + toBurnByTwin,
            "11 its founders' shares are minted once, and burned as any grant's"
        );
        eq(emission.foundersOf(handler.twin()), handler.FOUNDERS(), "11 as much as was said");
        yes(
            handler.minted() <= handler.scheduled(),
            "11, 12 minted is within code's part of the epochs that have begun"
        );
        eq(
            handler.scheduled() - handler.minted(),
            emission.authorisable(id, CODE, 1, type(uint64).max, uint48(block.timestamp)),
            "12 what is not drawn is there, until it is 30 days old"
        );
        eq(shares.getVotes(grants_), 0, "what is not paid does not vote");
    }
}
