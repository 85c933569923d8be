// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @notice A token whose every misbehaviour can be switched on.
contract HostileToken is ERC20Permit {
    /// @dev Of 10,000; kept from each transfer.
    uint256 public fee;
    /// @dev Of 10,000; what balances still say of what was minted and moved.
    uint256 public scale = 10_000;
    /// @dev Whether transfers do nothing and answer false.
    bool public lies;
    bool public paused;
    address public banned;
    /// @dev Called with `data` at each transfer, as a token with hooks would.
    address public hooked;
    bytes public data;
    /// @dev What the hooked one reverted with; empty where it did not.
    bytes public refusal;
    bool private _inHook;

    constructor() ERC20("Hostile", "HOST") ERC20Permit("Hostile") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setFee(uint256 fee_) external {
        fee = fee_;
    }

    function setScale(uint256 scale_) external {
        scale = scale_;
    }

    function setLies(bool lies_) external {
        lies = lies_;
    }

    function setPaused(bool paused_) external {
        paused = paused_;
    }

    function ban(address account) external {
        banned = account;
    }

    /// @dev As who is asked for it by a token that obeys nobody.
    function allow(address owner, address spender) external {
        _approve(owner, spender, type(uint256).max);
    }

    function take(address from, uint256 amount) external {
        _burn(from, amount);
    }

    function hook(address hooked_, bytes calldata data_) external {
        (hooked, data) = (hooked_, data_);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return !lies && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return !lies && super.transferFrom(from, to, amount);
    }

    function balanceOf(address account) public view override returns (uint256) {
        return (super.balanceOf(account) * scale) / 10_000;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (from == address(0) || to == address(0)) return super._update(from, to, amount);
        require(!paused && from != banned && to != banned, "refused");
        if (hooked != address(0) && !_inHook) {
            _inHook = true;
            (bool success, bytes memory answer) = hooked.call(data);
            refusal = success ? bytes("") : answer;
            _inHook = false;
        }
        // What is moved is named in what balances say.
        uint256 moved = (amount * 10_000) / scale;
        uint256 kept = (moved * fee) / 10_000;
        super._update(from, to, moved - kept);
        if (kept != 0) super._update(from, address(this), kept);
    }
}
