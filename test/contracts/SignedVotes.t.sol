// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ModelGovernor} from "../../contracts/governance/ModelGovernor.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {Leaf} from "../../contracts/interfaces/IComputeRewards.sol";
import {Holders} from "./support/Holders.sol";

/// @dev The least of a wallet that is a contract: its owner's key signs for it, and it sends what its owner says.
contract OwnedWallet is IERC1271 {
    address private immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function send(address target, bytes calldata data) external returns (bytes memory answer) {
        require(msg.sender == OWNER, "owner");
        bool done;
        (done, answer) = target.call(data);
        require(done, "refused");
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (address signer, , ) = ECDSA.tryRecoverCalldata(digest, signature);
        return signer == OWNER ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

/// @notice Votes that holders sign and others send, and holders that are contracts.
contract SignedVotesTest is Holders {
    uint256 private constant KEY = 0x5160;
    address private immutable VOTER = vm.addr(KEY);
    address private constant RELAY = address(0x4e1a);

    bytes32 private constant DOMAIN = keccak256(
        "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    );
    bytes32 private constant BALLOT = keccak256("Ballot(uint256 proposalId,uint8 support,address voter,uint256 nonce)");
    bytes32 private constant EXTENDED = keccak256(
        "ExtendedBallot(uint256 proposalId,uint8 support,address voter,uint256 nonce,string reason,bytes params)"
    );

    OwnedWallet private wallet;
    uint256 private id;

    function setUp() public override {
        super.setUp();
        wallet = new OwnedWallet(VOTER);
        _mint(VOTER, 20e18);
        _mint(address(wallet), 40e18);
        vm.warp(block.timestamp + 1);
        id = _propose(ALICE);
        vm.warp(governor.proposalSnapshot(id) + 1);
    }

    function test_anybodySendsWhatAHolderSigned() public {
        bytes memory signed = signature(KEY, _ballot(id, 1, VOTER, 0));
        vm.prank(RELAY);
        eq(governor.castVoteBySig(id, 1, VOTER, signed), 20e18, "its weight");
        yes(governor.hasVoted(id, VOTER) && !governor.hasVoted(id, RELAY), "the signer's vote");
        (, uint256 inFavour, ) = governor.proposalVotes(id);
        eq(inFavour, 20e18, "counted");
        eq(governor.nonces(VOTER), 1, "used");
    }

    function test_aReasonIsSignedToo() public {
        bytes memory signed = signature(KEY, _extended(id, 0, VOTER, 0, "no"));
        _refused(id, 0, VOTER, signed);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidSignature.selector, VOTER));
        governor.castVoteWithReasonAndParamsBySig(id, 0, VOTER, "yes", "", signed);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidSignature.selector, VOTER));
        governor.castVoteWithReasonAndParamsBySig(id, 0, VOTER, "no", "x", signed);
        eq(governor.castVoteWithReasonAndParamsBySig(id, 0, VOTER, "no", "", signed), 20e18, "its weight");
    }

    function test_aSignedVoteCountsOnceAndForNothingElse() public {
        bytes memory signed = signature(KEY, _ballot(id, 1, VOTER, 0));
        _refused(id, 0, VOTER, signed);
        _refused(id, 1, ALICE, signed);
        text = "more steps, again";
        uint256 other = _propose(ALICE);
        vm.warp(governor.proposalSnapshot(other) + 1);
        _refused(other, 1, VOTER, signed);
        governor.castVoteBySig(id, 1, VOTER, signed);
        _refused(id, 1, VOTER, signed);
        bytes memory again = signature(KEY, _ballot(id, 0, VOTER, 1));
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorAlreadyCastVote.selector, VOTER));
        governor.castVoteBySig(id, 0, VOTER, again);
    }

    /// @dev One nonce for all proposals: of two ballots that were signed before one was sent, one counts.
    function test_aNonceServesOneBallot() public {
        text = "more steps, again";
        uint256 other = _propose(ALICE);
        vm.warp(governor.proposalSnapshot(other) + 1);
        bytes memory kept = signature(KEY, _ballot(id, 1, VOTER, 0));
        governor.castVoteBySig(other, 1, VOTER, signature(KEY, _ballot(other, 1, VOTER, 0)));
        _refused(id, 1, VOTER, kept);
        // Whoever holds a ballot back keeps nobody from voting.
        _castVote(id, VOTER, 0);
    }

    function test_aSignatureIsForOneChainAndOneModel() public {
        bytes memory signed = signature(KEY, _ballot(id, 1, VOTER, 0));
        vm.chainId(99);
        _refused(id, 1, VOTER, signed);
        vm.chainId(31337);
        ModelConfig memory config = modelConfig();
        ModelId twin = registry.createModel(config, bytes32(uint256(2)));
        ModelGovernor theirs = ModelGovernor(payable(registry.governorOf(twin)));
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidSignature.selector, VOTER));
        theirs.castVoteBySig(id, 1, VOTER, signed);
        eq(governor.castVoteBySig(id, 1, VOTER, signed), 20e18, "as it was signed");
    }

    function test_nothingSignedCountsAfterTheVote() public {
        bytes memory signed = signature(KEY, _ballot(id, 1, VOTER, 0));
        vm.warp(governor.proposalDeadline(id) + 1);
        vm.expectPartialRevert(IGovernor.GovernorUnexpectedProposalState.selector);
        governor.castVoteBySig(id, 1, VOTER, signed);
    }

    /// @dev The other s of the curve's two is nobody's signature.
    function test_aSignatureHasOneForm() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, _ballot(id, 1, VOTER, 0));
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        _refused(id, 1, VOTER, abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? 28 : 27));
        _refused(id, 1, VOTER, abi.encodePacked(r, s));
        _refused(id, 1, VOTER, "");
    }

    function test_aContractHoldsClaimsDelegatesAndVotes() public {
        vm.prank(VOTER);
        wallet.send(address(governor), abi.encodeCall(governor.castVote, (id, 1)));
        (, uint256 inFavour, ) = governor.proposalVotes(id);
        eq(inFavour, 40e18, "counted");

        settle(1, leafOf(1, address(wallet), 7e18), 7e18);
        Leaf memory leaf = Leaf(1, 7e18, new bytes32[](0));
        vm.prank(VOTER);
        wallet.send(address(rewards), abi.encodeCall(rewards.claim, (modelId, 1, address(wallet), leaf)));
        eq(shares.balanceOf(address(wallet)), 47e18, "claimed");
        eq(shares.getVotes(address(wallet)), 47e18, "and votes with it");
        vm.prank(VOTER);
        wallet.send(address(shares), abi.encodeCall(shares.delegate, (BOB)));
        eq(shares.getVotes(BOB), 77e18, "or another does");
    }

    function test_aContractsSignatureIsWhatItSays() public {
        bytes32 digest = _ballot(id, 1, address(wallet), 0);
        _refused(id, 1, address(wallet), signature(0xbad, digest));
        _refused(id, 1, address(wallet), signature(KEY, _ballot(id, 1, VOTER, 0)));
        bytes memory signed = signature(KEY, digest);
        // The owner's own vote is another.
        _refused(id, 1, VOTER, signed);
        vm.prank(RELAY);
        eq(governor.castVoteBySig(id, 1, address(wallet), signed), 40e18, "its weight");
        _refused(id, 1, address(wallet), signed);
    }

    /// @dev Contracts of the model stand by no signature.
    function test_aContractThatSignsNothingHasNoSignedVotes() public {
        address[3] memory silent = [address(timelock), address(rewards), address(shares)];
        for (uint256 i = 0; i < silent.length; ++i)
            _refused(id, 1, silent[i], signature(KEY, _ballot(id, 1, silent[i], 0)));
    }

    function _refused(uint256 proposal, uint8 support, address voter, bytes memory signed) private {
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorInvalidSignature.selector, voter));
        governor.castVoteBySig(proposal, support, voter, signed);
    }

    /// @dev By hand, so that no change of the domain goes unnoticed.
    function _digest(bytes32 struct_) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(DOMAIN, keccak256(bytes(modelConfig().name)), keccak256("1"), block.chainid, address(governor))
        );
        return MessageHashUtils.toTypedDataHash(domain, struct_);
    }

    function _ballot(uint256 proposal, uint8 support, address voter, uint256 nonce) private view returns (bytes32) {
        return _digest(keccak256(abi.encode(BALLOT, proposal, support, voter, nonce)));
    }

    function _extended(
        uint256 proposal,
        uint8 support,
        address voter,
        uint256 nonce,
        string memory reason
    ) private view returns (bytes32) {
        return
            _digest(
                keccak256(
                    abi.encode(EXTENDED, proposal, support, voter, nonce, keccak256(bytes(reason)), keccak256(""))
                )
            );
    }
}
