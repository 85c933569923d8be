// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {ModelId} from "../../contracts/interfaces/Ids.sol";
import {ModelConfig} from "../../contracts/interfaces/IModelRegistry.sol";
import {IValidatorSet} from "../../contracts/interfaces/IValidatorSet.sol";
import {Fixture} from "./support/Fixture.sol";

contract QuorumTest is Fixture {
    bytes32 private constant DIGEST = keccak256("digest");
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function test_anyFiveOfSevenAreEnough() public view {
        uint256[] memory signers = new uint256[](5);
        for (uint256 i = 0; i < 5; ++i) signers[i] = keys[i + 2];
        validators.requireQuorum(modelId, 1, DIGEST, signedBy(signers, DIGEST));
        (signers[0], signers[1]) = (keys[0], keys[2]);
        validators.requireQuorum(modelId, 1, DIGEST, signedBy(signers, DIGEST));
        validators.requireQuorum(modelId, 1, DIGEST, signedBy(keys, DIGEST));
    }

    function test_fourAreNot() public {
        uint256[] memory four = new uint256[](4);
        for (uint256 i = 0; i < 4; ++i) four[i] = keys[i];
        bytes memory signatures = signedBy(four, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetNoQuorum.selector, 4, 5));
        validators.requireQuorum(modelId, 1, DIGEST, signatures);
        (uint256 count, uint256 size) = validators.countSigners(modelId, 1, DIGEST, signatures);
        eq(count, 4, "counted");
        eq(size, 7, "of");
    }

    function test_noSignatureIsNoQuorum() public {
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetNoQuorum.selector, 0, 5));
        validators.requireQuorum(modelId, 1, DIGEST, "");
        (uint256 count, ) = validators.countSigners(modelId, 1, DIGEST, "");
        eq(count, 0, "none");
    }

    function test_nobodyCountsTwice() public {
        uint256[] memory signers = quorum();
        signers[4] = signers[3];
        _badSigner(signers, DIGEST, vm.addr(signers[3]));
    }

    function test_signersAscend() public {
        uint256[] memory signers = quorum();
        (signers[0], signers[1]) = (signers[1], signers[0]);
        _badSigner(signers, DIGEST, vm.addr(signers[1]));
    }

    function test_strangersDoNotCount() public {
        uint256[] memory signers = quorum();
        signers[4] = 0xbad;
        bytes memory signatures = signedBy(signers, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetBadSigner.selector, vm.addr(0xbad)));
        validators.requireQuorum(modelId, 1, DIGEST, signatures);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetBadSigner.selector, vm.addr(0xbad)));
        validators.countSigners(modelId, 1, DIGEST, signatures);
    }

    function test_strangersAboveAFullSetDoNotCount() public {
        uint256[] memory all = ascendingKeys(65, 65);
        ModelConfig memory config = modelConfig();
        config.validators = new address[](64);
        for (uint256 i = 0; i < 64; ++i) config.validators[i] = vm.addr(all[i]);
        config.threshold = 43;
        ModelId id = registry.createModel(config, "full");
        uint256[] memory signers = new uint256[](1);
        signers[0] = all[63];
        (uint256 count, ) = validators.countSigners(id, 1, DIGEST, signedBy(signers, DIGEST));
        eq(count, 1, "the last member");
        signers[0] = all[64];
        bytes memory signatures = signedBy(signers, DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetBadSigner.selector, vm.addr(all[64])));
        validators.countSigners(id, 1, DIGEST, signatures);
    }

    function test_anotherDigestsSignaturesDoNotCount() public {
        bytes memory signatures = signedBy(quorum(), keccak256("another"));
        vm.expectPartialRevert(IValidatorSet.ValidatorSetBadSigner.selector);
        validators.requireQuorum(modelId, 1, DIGEST, signatures);
    }

    function test_malleatedSignaturesAreRefused() public {
        bytes memory signatures = signedBy(quorum(), DIGEST);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[0], DIGEST);
        bytes32 high = bytes32(ORDER - uint256(s));
        bytes memory malleated = abi.encodePacked(r, high, v == 27 ? uint8(28) : uint8(27));
        for (uint256 i = 0; i < 65; ++i) signatures[i] = malleated[i];
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignatureS.selector, high));
        validators.requireQuorum(modelId, 1, DIGEST, signatures);
    }

    function test_signaturesOfAnotherLengthAreRefused() public {
        bytes memory signatures = bytes.concat(signedBy(quorum(), DIGEST), hex"00");
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetBadLength.selector, 326));
        validators.requireQuorum(modelId, 1, DIGEST, signatures);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetBadLength.selector, 64));
        validators.countSigners(modelId, 1, DIGEST, new bytes(64));
        vm.expectRevert(abi.encodeWithSelector(ECDSA.ECDSAInvalidSignature.selector));
        validators.requireQuorum(modelId, 1, DIGEST, new bytes(325));
    }

    function test_unknownSetsHaveNoQuorum() public {
        bytes memory signatures = signedBy(quorum(), DIGEST);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetUnknownVersion.selector, modelId, 2));
        validators.requireQuorum(modelId, 2, DIGEST, signatures);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetUnknownVersion.selector, NO_MODEL, 1));
        validators.countSigners(NO_MODEL, 1, DIGEST, signatures);
    }

    function test_rulingsAreSignedInThisContractsDomain() public {
        bytes32 expected = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Cotrain"),
                keccak256("1"),
                block.chainid,
                address(validators)
            )
        );
        eq(validators.domainSeparator(), expected, "domain");
        vm.chainId(99);
        yes(validators.domainSeparator() != expected, "bound to the chain, after a fork too");
    }

    /// @dev Invariant 25. Any list of members and strangers, in any order, counts only if strictly ascending members come up to k.
    function testFuzz_whatIsAcceptedIsDistinctMembersAtLeastK(uint256 seed, uint8 length) public view {
        uint256[] memory signers = new uint256[](bound(length, 0, 9));
        bool good = signers.length >= 5;
        address last = address(0);
        uint256 next = seed % 3;
        for (uint256 i = 0; i < signers.length; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i))) % 16;
            signers[i] = dice == 0 ? 0xbad : keys[dice == 1 ? (seed >> i) % 7 : next % 7];
            ++next;
            if (vm.addr(signers[i]) <= last || signers[i] == 0xbad) good = false;
            last = vm.addr(signers[i]);
        }
        try validators.requireQuorum(modelId, 1, DIGEST, signedBy(signers, DIGEST)) {
            yes(good, "accepted");
        } catch {
            yes(!good, "refused");
        }
    }

    function _badSigner(uint256[] memory signers, bytes32 digest, address signer) private {
        bytes memory signatures = signedBy(signers, digest);
        vm.expectRevert(abi.encodeWithSelector(IValidatorSet.ValidatorSetBadSigner.selector, signer));
        validators.requireQuorum(modelId, 1, digest, signatures);
    }
}
