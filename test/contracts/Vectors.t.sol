// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {LeaseTerms} from "../../contracts/interfaces/IComputeEscrow.sol";
import {HeadHash, LeaseId, ModelId, RunId} from "../../contracts/interfaces/Ids.sol";
import {Schedule} from "../../contracts/interfaces/IModelRegistry.sol";
import {RunParams} from "../../contracts/interfaces/RunParams.sol";
import {
    Ack,
    Attestation,
    ClaimTo,
    Fragment as FragmentStatement,
    Grant,
    Head,
    Join,
    Receipt,
    Ruling,
    Suspend,
    Verdict,
    Voucher
} from "../../contracts/interfaces/Statements.sol";
import {Epochs} from "../../contracts/libraries/Epochs.sol";
import {ProtocolHashes} from "../../contracts/libraries/ProtocolHashes.sol";
import {ComputeEscrow} from "../../contracts/market/ComputeEscrow.sol";
import {ModelRegistry} from "../../contracts/models/ModelRegistry.sol";
import {RunRegistry} from "../../contracts/training/RunRegistry.sol";
import {Fixture} from "./support/Fixture.sol";

/// @notice Solidity against the vectors that the TypeScript protocol is tested with, from a third implementation.
contract VectorsTest is Fixture {
    string private json;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("test/vectors/protocol.json");
    }

    function test_joins() public view {
        eq(ProtocolHashes.JOIN_TYPEHASH, _typeHash("Join"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            _signed("Join", i, ProtocolHashes.hashJoin(abi.decode(_encoded("Join", i), (Join))));
        }
    }

    function test_fragments() public view {
        eq(ProtocolHashes.FRAGMENT_TYPEHASH, _typeHash("Fragment"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            _signed(
                "Fragment",
                i,
                ProtocolHashes.hashFragment(abi.decode(_encoded("Fragment", i), (FragmentStatement)))
            );
        }
    }

    function test_receipts() public view {
        eq(ProtocolHashes.RECEIPT_TYPEHASH, _typeHash("Receipt"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            _signed("Receipt", i, ProtocolHashes.hashReceipt(abi.decode(_encoded("Receipt", i), (Receipt))));
        }
    }

    function test_acks() public view {
        eq(ProtocolHashes.ACK_TYPEHASH, _typeHash("Ack"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            _signed("Ack", i, ProtocolHashes.hashAck(abi.decode(_encoded("Ack", i), (Ack))));
        }
    }

    function test_verdicts() public view {
        eq(ProtocolHashes.VERDICT_TYPEHASH, _typeHash("Verdict"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            _signed("Verdict", i, ProtocolHashes.hashVerdict(abi.decode(_encoded("Verdict", i), (Verdict))));
        }
    }

    function test_attestations() public view {
        eq(ProtocolHashes.ATTESTATION_TYPEHASH, _typeHash("Attestation"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            _signed(
                "Attestation",
                i,
                ProtocolHashes.hashAttestation(abi.decode(_encoded("Attestation", i), (Attestation)))
            );
        }
    }

    function test_claimOrders() public view {
        eq(ProtocolHashes.CLAIM_TO_TYPEHASH, _typeHash("ClaimTo"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            _signed("ClaimTo", i, ProtocolHashes.hashClaimTo(abi.decode(_encoded("ClaimTo", i), (ClaimTo))));
        }
    }

    function test_rulings() public view {
        eq(ProtocolHashes.RULING_TYPEHASH, _typeHash("Ruling"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            _signed("Ruling", i, ProtocolHashes.hashRuling(abi.decode(_encoded("Ruling", i), (Ruling))));
        }
    }

    function test_suspensions() public view {
        eq(ProtocolHashes.SUSPEND_TYPEHASH, _typeHash("Suspend"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            _signed("Suspend", i, ProtocolHashes.hashSuspend(abi.decode(_encoded("Suspend", i), (Suspend))));
        }
    }

    function test_grants() public view {
        eq(ProtocolHashes.GRANT_TYPEHASH, _typeHash("Grant"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory encoded = _encoded("Grant", i);
            Grant memory grant = abi.decode(encoded, (Grant));
            _signed("Grant", i, ProtocolHashes.hashGrant(grant));
            // Its name is of all fields but the last two.
            assembly ("memory-safe") {
                mstore(encoded, 288)
            }
            eq(ProtocolHashes.grantId(grant), keccak256(encoded), "id");
        }
    }

    function test_vouchers() public view {
        eq(ProtocolHashes.VOUCHER_TYPEHASH, _typeHash("Voucher"), "type");
        for (uint256 i = 0; i < 3; ++i) {
            _signed("Voucher", i, ProtocolHashes.hashVoucher(abi.decode(_encoded("Voucher", i), (Voucher))));
        }
    }

    function test_heads() public view {
        eq(ProtocolHashes.HEAD_TYPEHASH, vm.parseJsonBytes32(json, ".head.typeHash"), "type");
        for (uint256 i = 0; i < 5; ++i) {
            string memory key = string.concat(".head.cases[", _digit(i), "]");
            Head memory head = abi.decode(vm.parseJsonBytes(json, string.concat(key, ".encoded")), (Head));
            eq(
                HeadHash.unwrap(ProtocolHashes.hashHead(head)),
                vm.parseJsonBytes32(json, string.concat(key, ".head")),
                "head"
            );
        }
    }

    function test_receiptLeaves() public view {
        for (uint256 tree = 0; tree < 4; ++tree) {
            for (uint256 i = 0; i <= tree; ++i) {
                (bytes memory encoded, string memory key) = _leaf("receipt", tree, i);
                (bytes32 hash, address worker, address beneficiary, uint64 tokens, uint16 outcome) = abi.decode(
                    encoded,
                    (bytes32, address, address, uint64, uint16)
                );
                _inTree("receipt", tree, key, ProtocolHashes.receiptLeaf(hash, worker, beneficiary, tokens, outcome));
            }
        }
    }

    function test_rewardLeaves() public view {
        for (uint256 tree = 0; tree < 4; ++tree) {
            for (uint256 i = 0; i <= tree; ++i) {
                (bytes memory encoded, string memory key) = _leaf("reward", tree, i);
                (uint8 kind, ModelId id, uint64 index, address account, uint256 amount) = abi.decode(
                    encoded,
                    (uint8, ModelId, uint64, address, uint256)
                );
                _inTree("reward", tree, key, ProtocolHashes.rewardLeaf(kind, id, index, account, amount));
            }
        }
    }

    function test_commitmentLeaves() public view {
        for (uint256 tree = 0; tree < 3; ++tree) {
            for (uint256 i = 0; i < tree + 2; ++i) {
                (bytes memory encoded, string memory key) = _leaf("commitment", tree, i);
                (uint32 j, uint64 step, bytes32 state, bytes32 data, bytes32 scalars, bytes32 update) = abi.decode(
                    encoded,
                    (uint32, uint64, bytes32, bytes32, bytes32, bytes32)
                );
                bytes32 leaf = ProtocolHashes.commitmentLeaf(j, step, state, data, scalars, update);
                _inTree("commitment", tree, key, leaf);
            }
        }
    }

    function test_runParams() public view {
        for (uint256 i = 0; i < 4; ++i) {
            bytes memory encoded = vm.parseJsonBytes(json, string.concat(".runParams.cases[", _digit(i), "].encoded"));
            RunParams memory p = abi.decode(encoded, (RunParams));
            eq(keccak256(abi.encode(p)), keccak256(encoded), "the same bytes again");
        }
    }

    function test_ids() public {
        for (uint256 i = 0; i < 2; ++i) {
            string memory key = string.concat(".ids[", _digit(i), "]");
            address models = vm.parseJsonAddress(json, string.concat(key, ".modelRegistry"));
            address runs_ = vm.parseJsonAddress(json, string.concat(key, ".runRegistry"));
            bytes32 salt = vm.parseJsonBytes32(json, string.concat(key, ".salt"));
            ModelId id = ModelId.wrap(vm.parseJsonBytes32(json, string.concat(key, ".modelId")));
            vm.etch(models, address(registry).code);
            vm.etch(runs_, address(runs).code);
            vm.chainId(i == 0 ? 31337 : 1);
            address sender = vm.parseJsonAddress(json, string.concat(key, ".sender"));
            bytes32 terms = vm.parseJsonBytes32(json, string.concat(key, ".terms"));
            eq(ModelRegistry(models).modelIdOf(sender, salt, terms), id, "model");
            RunId run = RunId.wrap(vm.parseJsonBytes32(json, string.concat(key, ".runId")));
            eq(RunRegistry(runs_).runIdOf(id, salt), run, "run");
        }
    }

    function test_epochs() public view {
        for (uint256 i = 0; i < 3; ++i) {
            string memory key = string.concat(".epochs[", _digit(i), "]");
            Schedule memory schedule;
            schedule.start = uint48(_number(key, ".start"));
            schedule.epochLength = uint32(_number(key, ".epochLength"));
            for (uint256 j = 0; j < 9; ++j) {
                string memory at = string.concat(key, ".cases[", _digit(j), "]");
                uint256 epoch = _number(at, ".epoch");
                eq(Epochs.at(schedule, _number(at, ".time")), epoch, "epoch");
                eq(Epochs.end(schedule, epoch), _number(at, ".end"), "end");
                eq(Epochs.firstEndingFrom(schedule, Epochs.end(schedule, epoch)), epoch == 0 ? 1 : epoch, "ends then");
                eq(Epochs.firstEndingFrom(schedule, Epochs.end(schedule, epoch) + 1), epoch + 1, "ends later");
            }
        }
    }

    function test_leaseIds() public {
        bytes memory code = address(new ComputeEscrow()).code;
        for (uint256 i = 0; i < 3; ++i) {
            string memory key = string.concat(".leases[", _digit(i), "]");
            address place = vm.parseJsonAddress(json, string.concat(key, ".escrow"));
            vm.etch(place, code);
            vm.chainId(_number(key, ".chainId"));
            LeaseTerms memory terms = abi.decode(vm.parseJsonBytes(json, string.concat(key, ".encoded")), (LeaseTerms));
            bytes32 id = LeaseId.unwrap(ComputeEscrow(place).leaseIdOf(terms));
            eq(id, vm.parseJsonBytes32(json, string.concat(key, ".leaseId")), "lease");
        }
    }

    /// @dev The contracts' own domains, by the formula that the vectors' separators follow.
    function test_domains() public view {
        bytes32 separator = vm.parseJsonBytes32(json, ".structs.Join.cases[0].domainSeparator");
        address verifier = vm.parseJsonAddress(json, ".structs.Join.cases[0].verifyingContract");
        eq(_domain(31337, verifier), separator, "formula");
        eq(runs.domainSeparator(), _domain(31337, address(runs)), "runs");
        eq(rewards.domainSeparator(), _domain(31337, address(rewards)), "rewards");
        eq(grants.domainSeparator(), _domain(31337, address(grants)), "grants");
        eq(validators.domainSeparator(), _domain(31337, address(validators)), "validators");
        (, string memory name, string memory version, uint256 chain, address contract_, , ) = runs.eip712Domain();
        eq(name, "Cotrain", "name");
        eq(version, "1", "version");
        eq(chain, block.chainid, "chain");
        eq(contract_, address(runs), "contract");
    }

    function _signed(string memory name, uint256 i, bytes32 structHash) private view {
        string memory key = _case(name, i);
        eq(structHash, vm.parseJsonBytes32(json, string.concat(key, ".structHash")), "struct hash");
        bytes32 separator = vm.parseJsonBytes32(json, string.concat(key, ".domainSeparator"));
        bytes32 digest = MessageHashUtils.toTypedDataHash(separator, structHash);
        eq(digest, vm.parseJsonBytes32(json, string.concat(key, ".digest")), "digest");
        address signer = ECDSA.recover(digest, vm.parseJsonBytes(json, string.concat(key, ".signature")));
        eq(signer, vm.parseJsonAddress(json, string.concat(key, ".signer")), "signer");
    }

    function _inTree(string memory kind, uint256 tree, string memory key, bytes32 leaf) private view {
        eq(leaf, vm.parseJsonBytes32(json, string.concat(key, ".leaf")), "leaf");
        bytes32 root = vm.parseJsonBytes32(json, string.concat(".leaves.", kind, ".trees[", _digit(tree), "].root"));
        bytes32[] memory proof = vm.parseJsonBytes32Array(json, string.concat(key, ".proof"));
        yes(MerkleProof.verify(proof, root, leaf), "proof");
    }

    function _leaf(
        string memory kind,
        uint256 tree,
        uint256 i
    ) private view returns (bytes memory encoded, string memory key) {
        key = string.concat(".leaves.", kind, ".trees[", _digit(tree), "].leaves[", _digit(i), "]");
        encoded = vm.parseJsonBytes(json, string.concat(key, ".encoded"));
    }

    function _encoded(string memory name, uint256 i) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(_case(name, i), ".encoded"));
    }

    function _typeHash(string memory name) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(".structs.", name, ".typeHash"));
    }

    function _case(string memory name, uint256 i) private pure returns (string memory) {
        return string.concat(".structs.", name, ".cases[", _digit(i), "]");
    }

    function _number(string memory key, string memory field) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(key, field));
    }

    function _digit(uint256 i) private pure returns (string memory) {
        return string(abi.encodePacked(bytes1(uint8(48 + i))));
    }

    function _domain(uint256 chain, address verifier) private pure returns (bytes32) {
        bytes32 typeHash = keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        );
        return keccak256(abi.encode(typeHash, keccak256("Cotrain"), keccak256("1"), chain, verifier));
    }
}
