"""What binds a block's logs to its hash: the RLP of headers and receipts, and the root of the receipts' trie.

The Ethereum yellow paper, with EIP-2718 (typed receipts) and the fields that later forks appended to the header.
"""

from .base import keccak, require, tohex, unhex

HEADER = (
    "parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number gasLimit gasUsed "
    "timestamp extraData mixHash nonce baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas parentBeaconBlockRoot requestsHash"
).split()
_INTEGERS = set("difficulty number gasLimit gasUsed timestamp baseFeePerGas blobGasUsed excessBlobGas".split())


def rlp(item: object) -> bytes:
    if isinstance(item, list):
        data, offset = b"".join(rlp(each) for each in item), 0xC0
    elif len(item) == 1 and item[0] < 0x80:
        return item
    else:
        data, offset = item, 0x80
    if len(data) < 56:
        return bytes([offset + len(data)]) + data
    length = _number(len(data))
    return bytes([offset + 55 + len(length)]) + length + data


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def header_hash(block: dict) -> str:
    """keccak256 of the header; fields of forks that the chain does not have are absent, from some field on."""
    fields: list[bytes] = []
    for name in HEADER:
        value = block.get(name)
        if value is None:
            break
        fields.append(_number(int(value, 16)) if name in _INTEGERS else unhex(value))
    return tohex(keccak(rlp(fields)))


def _receipt(receipt: dict) -> bytes:
    logs = [
        [unhex(log["address"]), [unhex(topic) for topic in log["topics"]], unhex(log["data"])] for log in receipt["logs"]
    ]
    fields = [
        _number(int(receipt["status"], 16)),
        _number(int(receipt["cumulativeGasUsed"], 16)),
        unhex(receipt["logsBloom"]),
        logs,
    ]
    kind = int(receipt["type"], 16)
    return (bytes([kind]) if kind else b"") + rlp(fields)


def receipts_root(receipts: list[dict]) -> str:
    """Root of the trie of index → receipt."""
    items = {}
    for index, receipt in enumerate(receipts):
        key = rlp(_number(index))
        nibbles = tuple(nibble for byte in key for nibble in (byte >> 4, byte & 15))
        items[nibbles] = _receipt(receipt)
    return tohex(keccak(rlp(_node(items)) if items else rlp(b"")))


def _node(items: dict[tuple[int, ...], bytes]) -> list:
    """A node of the trie over what is left of the keys; no key is a prefix of another."""
    require(() not in items or len(items) == 1, "no key of the trie is a prefix of another")
    if len(items) == 1:
        [(key, value)] = items.items()
        return [_path(key, leaf=True), value]
    first, last = min(items), max(items)
    shared = 0
    while first[shared] == last[shared]:
        shared += 1
    if shared > 0:
        return [_path(first[:shared], leaf=False), _reference(_node({key[shared:]: each for key, each in items.items()}))]
    branch: list = []
    for nibble in range(16):
        below = {key[1:]: value for key, value in items.items() if key[0] == nibble}
        branch.append(_reference(_node(below)) if below else b"")
    return [*branch, b""]


def _reference(node: list) -> object:
    encoded = rlp(node)
    return node if len(encoded) < 32 else keccak(encoded)


def _path(nibbles: tuple[int, ...], leaf: bool) -> bytes:
    odd = len(nibbles) % 2
    flag = 2 * leaf + odd
    padded = (flag, *nibbles) if odd else (flag, 0, *nibbles)
    return bytes(16 * padded[i] + padded[i + 1] for i in range(0, len(padded), 2))
