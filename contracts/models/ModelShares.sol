// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/ERC20Upgradeable.sol";
import {ERC20PermitUpgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC20PermitUpgradeable.sol";
import {ERC20VotesUpgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC20VotesUpgradeable.sol";
import {NoncesUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/NoncesUpgradeable.sol";
import {ModelId} from "../interfaces/Ids.sol";
import {IModelRegistry} from "../interfaces/IModelRegistry.sol";
import {IModelShares} from "../interfaces/IModelShares.sol";

/// @title ModelShares
/// @notice Implementation behind every model's shares.
contract ModelShares is IModelShares, ERC20Upgradeable, ERC20PermitUpgradeable, ERC20VotesUpgradeable {
    IModelRegistry private immutable REGISTRY;
    address private immutable EMISSION;

    /// @inheritdoc IModelShares
    ModelId public modelId;

    string private _contractURI;

    /// @notice The implementation itself can never be initialised.
    /// @param registry_ The registry that makes the clones.
    /// @param emission_ The only one that mints and burns.
    constructor(IModelRegistry registry_, address emission_) {
        REGISTRY = registry_;
        EMISSION = emission_;
        _disableInitializers();
    }

    /// @inheritdoc IModelShares
    function initialize(
        ModelId modelId_,
        string calldata name_,
        string calldata symbol_,
        string calldata uri_
    ) external initializer {
        if (msg.sender != address(REGISTRY)) revert ModelSharesOnlyRegistry(msg.sender);
        __ERC20_init(name_, symbol_);
        __ERC20Permit_init(name_);
        __ERC20Votes_init();
        modelId = modelId_;
        _setContractURI(uri_);
    }

    /// @inheritdoc IModelShares
    function mint(address to, uint256 amount) external {
        if (msg.sender != EMISSION) revert ModelSharesOnlyEmission(msg.sender);
        _mint(to, amount);
    }

    /// @inheritdoc IModelShares
    function burn(address from, uint256 amount) external {
        if (msg.sender != EMISSION) revert ModelSharesOnlyEmission(msg.sender);
        _burn(from, amount);
    }

    /// @inheritdoc IModelShares
    function setContractURI(string calldata uri) external {
        if (msg.sender != REGISTRY.timelockOf(modelId)) revert ModelSharesOnlyTimelock(msg.sender);
        _setContractURI(uri);
    }

    /// @notice Chooses who votes with the caller's shares. The treasury's vote for nobody.
    /// @dev Reverts with ModelSharesTreasuryVotes.
    /// @param delegatee Who votes.
    function delegate(address delegatee) public override {
        // No key signs for a timelock, and most who delegate have no code: they pay for no call.
        if (msg.sender.code.length != 0 && msg.sender == REGISTRY.timelockOf(modelId))
            revert ModelSharesTreasuryVotes();
        super.delegate(delegatee);
    }

    /// @inheritdoc IModelShares
    function contractURI() external view returns (string memory) {
        return _contractURI;
    }

    /// @inheritdoc IModelShares
    function registry() external view returns (address) {
        return address(REGISTRY);
    }

    /// @inheritdoc IModelShares
    function emission() external view returns (address) {
        return EMISSION;
    }

    /// @notice Votes count by time (ERC-6372), so that delays mean the same on every chain.
    /// @return Seconds since 1970.
    function clock() public view override returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @notice Says so in the words of ERC-6372.
    /// @return The mode.
    function CLOCK_MODE() public pure override returns (string memory) {
        // solhint-disable-previous-line func-name-mixedcase
        return "mode=timestamp";
    }

    /// @notice Next nonce of an account, for permits and delegations by signature alike.
    /// @param owner The account.
    /// @return The nonce.
    function nonces(address owner) public view override(ERC20PermitUpgradeable, NoncesUpgradeable) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(
        address from,
        address to,
        uint256 value
    ) internal override(ERC20Upgradeable, ERC20VotesUpgradeable) {
        super._update(from, to, value);
    }

    function _setContractURI(string calldata uri) private {
        _contractURI = uri;
        emit ContractURIUpdated();
    }
}
