// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Create3} from "@openzeppelin/contracts/utils/Create3.sol";

/// @title DeterministicDeployer
/// @notice Gives contracts addresses that depend on who deploys and on a salt, not on their code, so that contracts
/// which know each other by immutable addresses can be deployed one by one, and a deployment that was cut short goes on.
contract DeterministicDeployer {
    /// @notice A contract was deployed.
    /// @param deployer Who called.
    /// @param salt The caller's.
    /// @param deployed Its address.
    event Deployed(address indexed deployer, bytes32 indexed salt, address deployed);

    /// @notice In which block a contract was deployed here; 0 for all others.
    mapping(address deployed => uint256) public blockOf;

    /// @notice Deploys `code`; the salt counts per caller, so nobody can take another's address.
    /// @dev Reverts with FailedDeployment where the salt was used, Create3EmptyBytecode where there is no code, and as the
    /// constructor does: with FailedDeployment where it gives no reason.
    /// @param salt Chosen by the caller.
    /// @param code Creation code, the constructor's arguments behind it.
    /// @return deployed The contract's address.
    function deploy(bytes32 salt, bytes calldata code) external returns (address deployed) {
        deployed = Create3.deploy(0, _salt(msg.sender, salt), code);
        blockOf[deployed] = block.number;
        emit Deployed(msg.sender, salt, deployed);
    }

    /// @notice The address that `deploy` gives to a caller's salt.
    /// @param deployer Who calls `deploy`.
    /// @param salt Chosen by the caller.
    /// @return The address, whether or not a contract is there.
    function addressOf(address deployer, bytes32 salt) external view returns (address) {
        return Create3.computeAddress(_salt(deployer, salt));
    }

    function _salt(address deployer, bytes32 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(deployer, salt));
    }
}
