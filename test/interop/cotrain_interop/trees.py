"""Merkle trees in OpenZeppelin's standard layout, and the leaves of the protocol's three (protocol.md, "Trees")."""

from .base import ZERO, encode, keccak, require, tohex

RECEIPT = ["bytes32", "address", "address", "uint64", "uint16"]
REWARD = ["uint8", "bytes32", "uint64", "address", "uint256"]
COMMITMENT = ["uint32", "uint64", "bytes32", "bytes32", "bytes32", "bytes32"]


def leaf_hash(kinds: list[str], values: list) -> bytes:
    return keccak(keccak(encode(kinds, values)))


def tree_root(kinds: list[str], leaves: list[list]) -> str:
    require(len(leaves) > 0, "a tree needs a leaf")
    hashes = sorted(leaf_hash(kinds, values) for values in leaves)
    nodes = [b""] * (2 * len(hashes) - 1)
    for index, value in enumerate(hashes):
        nodes[len(nodes) - 1 - index] = value
    for index in range(len(nodes) - 1 - len(hashes), -1, -1):
        left, right = nodes[2 * index + 1], nodes[2 * index + 2]
        nodes[index] = keccak(min(left, right) + max(left, right))
    return tohex(nodes[0])


def receipts_root(leaves: list[list]) -> str:
    return tree_root(RECEIPT, leaves) if leaves else ZERO


def rewards_root(rewards: dict) -> str:
    """Of a document of rewards."""
    of = [rewards["kind"], rewards["modelId"], rewards["index"]]
    return tree_root(REWARD, [[*of, leaf["account"], int(leaf["amount"])] for leaf in rewards["leaves"]])
