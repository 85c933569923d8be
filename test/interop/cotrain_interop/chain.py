"""What stands on-chain, by JSON-RPC (protocol.md, "What stands on-chain").

The RPC is believed in what is the newest block and which logs there are. What a block's logs say is held against the block's
receipts, these against its header, and the header against the block's hash.
"""

import json
import urllib.request

from .base import Mismatch, equal, keccak, require, tohex, unhex, unword
from .ethereum import header_hash, receipts_root
from .spec import Spec

_STEP = 5_000
# Lists in events, and how long they may be: members of a set, roots of one claim.
_MOST = {"address[]": 64, "uint64[]": 4_096}

# Indexed fields first in topics, the others in data; in the order of the event.
EVENTS = {
    "ModelConfigured": ("modelRegistry", "bytes32 indexed modelId,schedule schedule,governor governor"),
    "RunRegistered": (
        "runRegistry",
        "bytes32 indexed modelId,bytes32 indexed runId,bytes32 definition,uint16 fragments,address poster,params min,params max",
    ),
    "RunParamsSet": ("runRegistry", "bytes32 indexed runId,uint32 indexed version,params params"),
    "PosterSet": ("runRegistry", "bytes32 indexed runId,address indexed poster"),
    "BuildAdmitted": ("runRegistry", "bytes32 indexed runId,bytes32 indexed build,bool admitted"),
    "HeadPosted": (
        "checkpointRegistry",
        "bytes32 indexed runId,bytes32 indexed head,bytes32 parentHead,uint64 sequence,uint64 round,uint32 paramsVersion,bytes32 checkpointDigest,bytes32 receiptsRoot",
    ),
    "BudgetSet": ("emission", "bytes32 indexed modelId,uint64 indexed fromEpoch,uint128 perEpoch,uint16[4] bps"),
    "ValidatorsSet": (
        "validatorSet",
        "bytes32 indexed modelId,uint32 indexed version,address[] validators,uint16 threshold,uint48 effectiveAt",
    ),
    "RootPosted": (
        "computeRewards",
        "bytes32 indexed modelId,uint8 indexed kind,uint64 indexed index,attestation attestation,uint48 activatableAt",
    ),
    "RootActivated": (
        "computeRewards",
        "bytes32 indexed modelId,uint8 indexed kind,uint64 indexed index,bytes32 root,uint64 fromEpoch,uint64 toEpoch,uint256 total",
    ),
    "Claimed": (
        "computeRewards",
        "bytes32 indexed modelId,address indexed account,uint8 kind,address to,uint256 amount,uint64[] roots",
    ),
}
# Tuples of one contract's events alone.
_TUPLES = {
    "schedule": [("start", "uint48"), ("epochLength", "uint32"), ("postingDelay", "uint32"), ("window", "uint32")],
    "governor": [
        ("votingDelay", "uint32"),
        ("votingPeriod", "uint32"),
        ("lateQuorumExtension", "uint32"),
        ("timelockDelay", "uint32"),
        ("proposalThreshold", "uint256"),
        ("quorumBps", "uint16"),
        ("quorumFloor", "uint256"),
    ],
}


class Event:
    """One log, decoded. Order of the chain: by block, then index."""

    def __init__(self, values: dict, block: int, index: int, transaction: str):
        self.values = values
        self.block = block
        self.index = index
        self.transaction = transaction

    def __getitem__(self, key: str) -> object:
        return self.values[key]


class Chain:
    """Reads; `answer` may be put between (flips.py changes what comes back)."""

    def __init__(self, url: str, spec: Spec, contracts: dict, from_block: int):
        self.url = url
        self.spec = spec
        self.contracts = contracts
        self.from_block = from_block
        self._blocks: dict[int, dict] = {}
        self._logs: dict[int, list[tuple]] = {}
        self._id = 0

    def answer(self, method: str, params: list) -> object:
        self._id += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as reply:
            found = json.load(reply)
        if "error" in found:
            raise Mismatch(f"the chain answers {method} with {found['error']}")
        return found["result"]

    def chain_id(self) -> int:
        return int(self.answer("eth_chainId", []), 16)

    def newest(self) -> int:
        return int(self.answer("eth_blockNumber", []), 16)

    def block(self, number: int) -> dict:
        """Hash and time of a block; the hash is that of the header that comes with it."""
        if number not in self._blocks:
            found = self.answer("eth_getBlockByNumber", [hex(number), False])
            require(isinstance(found, dict), f"the chain has no block {number}")
            require(int(found["number"], 16) == number, f"the chain gives another block for {number}")
            require(found["hash"] == header_hash(found), f"block {number} does not have the hash of its header")
            self._blocks[number] = {
                "hash": found["hash"],
                "time": int(found["timestamp"], 16),
                "receipts": found["receiptsRoot"],
            }
        return self._blocks[number]

    def logs(self, number: int) -> list[tuple]:
        """All logs of a block in order: transaction, contract, topics, data."""
        if number not in self._logs:
            receipts = self.answer("eth_getBlockReceipts", [hex(number)])
            require(isinstance(receipts, list), f"the chain has no receipts of block {number}")
            equal(f"the receipts' root of block {number}", receipts_root(receipts), self.block(number)["receipts"])
            self._logs[number] = [
                (receipt["transactionHash"], log["address"], log["topics"], log["data"])
                for receipt in receipts
                for log in receipt["logs"]
            ]
        return self._logs[number]

    def calldata(self, transaction: str) -> bytes:
        found = self.answer("eth_getTransactionByHash", [transaction])
        require(isinstance(found, dict), f"the chain has no transaction {transaction}")
        return unhex(found["input"])

    def topic(self, name: str) -> str:
        """keccak256 of the event's signature."""
        kinds = [self._abi(field.split(" ")[0]) for field in EVENTS[name][1].split(",")]
        return tohex(keccak(f"{name}({','.join(kinds)})".encode()))

    def events(self, name: str, **indexed: str) -> list[Event]:
        contract, text = EVENTS[name]
        fields = [field.split(" ") for field in text.split(",")]
        topics: list = [self.topic(name)]
        for field in fields:
            if "indexed" in field:
                topics.append(indexed.get(field[-1]))
        found: list[Event] = []
        newest = self.newest()
        for start in range(self.from_block, newest + 1, _STEP):
            query = {
                "address": self.contracts[contract],
                "topics": topics,
                "fromBlock": hex(start),
                "toBlock": hex(min(newest, start + _STEP - 1)),
            }
            found += [self._decode(contract, topics[0], fields, log) for log in self.answer("eth_getLogs", [query])]
        for event in found:
            for key, value in indexed.items():
                require(event[key] == value, f"a {name} event is of another {key}")
        return sorted(found, key=lambda event: (event.block, event.index))

    def _abi(self, kind: str) -> str:
        fields = self._tuple(kind)
        return f"({','.join(each for _, each in fields)})" if fields else kind

    def _tuple(self, kind: str) -> list:
        """Fields of what stands in events as a tuple; none of a plain type."""
        if kind == "params":
            return self.spec.params
        return self.spec.structs["Attestation"] if kind == "attestation" else _TUPLES.get(kind, [])

    def _decode(self, contract: str, topic: str, fields: list[list[str]], log: dict) -> Event:
        block, index = int(log["blockNumber"], 16), int(log["logIndex"], 16)
        equal("the block of a log", log["blockHash"], self.block(block)["hash"])
        logs = self.logs(block)
        require(index < len(logs), f"block {block} has no log {index}")
        stated = (log["transactionHash"], log["address"], log["topics"], log["data"])
        equal(f"log {index} of block {block}", stated, logs[index])
        equal("the contract of a log", log["address"].lower(), self.contracts[contract])
        first, *topics = map(unhex, log["topics"])
        equal("the event of a log", tohex(first), topic)
        data = unhex(log["data"])
        values: dict = {}
        at = 0
        for field in fields:
            kind, name = field[0], field[-1]
            if "indexed" in field:
                values[name] = unword(kind, topics.pop(0))
            elif self._tuple(kind):
                values[name] = {}
                for each, type_ in self._tuple(kind):
                    values[name][each] = unword(type_, data[at : at + 32])
                    at += 32
            elif kind == "uint16[4]":
                values[name] = [unword("uint16", data[at + 32 * i : at + 32 * i + 32]) for i in range(4)]
                at += 128
            elif kind in _MOST:
                start = unword("uint256", data[at : at + 32])
                count = unword("uint256", data[start : start + 32])
                require(count <= _MOST[kind], f"an event has {_MOST[kind]} of {kind} at most")
                items = [data[start + 32 * (i + 1) : start + 32 * (i + 2)] for i in range(count)]
                values[name] = [unword(kind[:-2], item) for item in items]
                at += 32
            else:
                values[name] = unword(kind, data[at : at + 32])
                at += 32
        return Event(values, block, index, log["transactionHash"])

