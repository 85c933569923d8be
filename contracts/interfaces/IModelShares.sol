// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ModelId} from "./Ids.sol";

/// @title IModelShares
/// @notice Shares of one model: ERC-20 with permits (ERC-2612) and votes by time (ERC-5805, ERC-6372).
interface IModelShares {
    /// @notice The contract URI was set (ERC-7572).
    event ContractURIUpdated();

    /// @notice Only Emission mints and burns.
    /// @param caller Who called.
    error ModelSharesOnlyEmission(address caller);
    /// @notice Only the registry initialises.
    /// @param caller Who called.
    error ModelSharesOnlyRegistry(address caller);
    /// @notice Only the model's timelock sets the contract URI.
    /// @param caller Who called.
    error ModelSharesOnlyTimelock(address caller);
    /// @notice The treasury's shares vote for nobody: whoever had a majority once would keep its votes, and those of all that is drawn later.
    error ModelSharesTreasuryVotes();

    /// @notice Called once by the registry, in the transaction that makes the clone.
    /// @dev Reverts with ModelSharesOnlyRegistry.
    /// @param modelId_ The model whose shares these are.
    /// @param name_ Their name.
    /// @param symbol_ Their symbol.
    /// @param uri_ Where licence and terms are found.
    function initialize(
        ModelId modelId_,
        string calldata name_,
        string calldata symbol_,
        string calldata uri_
    ) external;

    /// @notice Mints new shares; only Emission may, within the model's budget.
    /// @dev Reverts with ModelSharesOnlyEmission.
    /// @param to Who gets them.
    /// @param amount How many, in wei.
    function mint(address to, uint256 amount) external;

    /// @notice Burns shares; only Emission may, those that a distributor gives up.
    /// @dev Reverts with ModelSharesOnlyEmission, ERC20InsufficientBalance.
    /// @param from Whose shares.
    /// @param amount How many, in wei.
    function burn(address from, uint256 amount) external;

    /// @notice Changes where licence and terms are found; only the model's timelock may.
    /// @dev Reverts with ModelSharesOnlyTimelock.
    /// @param uri The new place.
    function setContractURI(string calldata uri) external;

    /// @notice Where licence of the weights, licences of the data and terms are found (ERC-7572).
    /// @return The URI.
    function contractURI() external view returns (string memory);

    /// @notice The model whose shares these are.
    /// @return Its id.
    function modelId() external view returns (ModelId);

    /// @notice The registry that made the clone.
    /// @return Its address.
    function registry() external view returns (address);

    /// @notice The only minter.
    /// @return Its address.
    function emission() external view returns (address);
}
