"""Everything that is read of the chain about a model and its runs, and what alone follows from it."""

from dataclasses import dataclass

from .base import ZERO, Mismatch, encode, equal, keccak, require, tohex, unhex, unword
from .chain import Chain, Event

HEAD_TYPE = (
    "Head(uint256 chainId,address registry,bytes32 parentHead,bytes32 runId,uint64 sequence,uint64 round,"
    "uint32 paramsVersion,bytes32 checkpointDigest,bytes32 receiptsRoot)"
)
SORTITION_DELAY = 2


@dataclass
class Head:
    run_id: str
    values: dict
    block: int
    index: int
    time: int
    parent: "Head | None" = None

    def __getitem__(self, key: str):
        return self.values[key]

    @property
    def is_rollback(self) -> bool:
        """Whether no round led to it."""
        return self.parent is not None and self["round"] <= self.parent["round"]


def standing(heads: list[Head]) -> list[Head]:
    """Of heads in the order of the chain those that led to a checkpoint on which their run went on."""
    found: list[Head] = []
    astray = False
    for head in heads:
        while found and found[-1]["round"] > head["round"]:
            found.pop()
        if head.is_rollback:
            # To a checkpoint that the run does not have it leads nowhere, until another one takes it back.
            target = found[-1] if found and found[-1]["round"] == head["round"] else None
            astray = target is None or target["checkpointDigest"] != head["checkpointDigest"]
        elif not astray:
            found.append(head)
    return found


@dataclass
class RunFacts:
    run_id: str
    definition: str
    fragments: int
    posters: set[str]
    heads: list[Head]
    # Version, time, parameters.
    versions: list[tuple[int, int, dict]]
    builds: list[str]

    def params(self, version: int) -> dict:
        for number, _, params in self.versions:
            if number == version:
                return params
        raise Mismatch(f"the run has no parameters of version {version}")

    def version_at(self, time: int) -> int:
        return max((number for number, since, _ in self.versions if since <= time), default=0)


@dataclass
class Schedule:
    start: int
    epoch_length: int
    posting_delay: int
    window: int

    def epoch_of(self, time: int) -> int:
        return 0 if time < self.start else 1 + (time - self.start) // self.epoch_length

    def end_of(self, epoch: int) -> int:
        return self.start + epoch * self.epoch_length


@dataclass
class ModelFacts:
    model_id: str
    chain_id: int
    schedule: Schedule
    runs: dict[str, RunFacts]
    budgets: list[Event]
    sets: dict[int, Event]
    posted: list[Event]
    activated: list[Event]
    claimed: list[Event]

    def heads(self) -> list[Head]:
        """Of all runs, in the order of the chain."""
        return sorted((head for run in self.runs.values() for head in run.heads), key=lambda head: (head.block, head.index))

    def standing_by(self, block: int) -> set[str]:
        """Heads that stand by that block."""
        stacks = (standing([head for head in run.heads if head.block <= block]) for run in self.runs.values())
        return {head["head"] for stack in stacks for head in stack}


def read_schedule(chain: Chain, model_id: str) -> Schedule:
    configured = chain.events("ModelConfigured", modelId=model_id)
    require(len(configured) == 1, f"there is no model {model_id}")
    schedule = Schedule(*configured[0]["schedule"].values())
    require(schedule.start > 0 and schedule.epoch_length > 0, f"there is no model {model_id}")
    return schedule


def _run(chain: Chain, event: Event) -> RunFacts:
    run_id = event["runId"]
    posters = {event["poster"]} | {each["poster"] for each in chain.events("PosterSet", runId=run_id)}
    versions = [
        (each["version"], chain.block(each.block)["time"], each["params"]) for each in chain.events("RunParamsSet", runId=run_id)
    ]
    equal("the versions of the parameters", [number for number, _, _ in versions], list(range(1, len(versions) + 1)))
    for number, _, params in versions:
        for name, value in params.items():
            require(event["min"][name] <= value <= event["max"][name], f"{name} of version {number} is out of its bounds")
    admitted: dict[str, bool] = {}
    for each in chain.events("BuildAdmitted", runId=run_id):
        admitted[each["build"]] = each["admitted"]
    heads: list[Head] = []
    for each in chain.events("HeadPosted", runId=run_id):
        time = chain.block(each.block)["time"]
        heads.append(Head(run_id, each.values, each.block, each.index, time, heads[-1] if heads else None))
    return RunFacts(run_id, event["definition"], event["fragments"], posters, heads, versions, list(admitted))


def _of_compute(events: list[Event]) -> list[Event]:
    """Roots of revenue pay another token, by another rule: revenue.py has it."""
    return [event for event in events if event["kind"] == 1]


def read_model(chain: Chain, run_id: str) -> ModelFacts:
    registered = chain.events("RunRegistered", runId=run_id)
    require(len(registered) == 1, f"there is no run {run_id}")
    model_id = registered[0]["modelId"]
    runs = {each["runId"]: _run(chain, each) for each in chain.events("RunRegistered", modelId=model_id)}
    require(run_id in runs, f"run {run_id} is not among its model's")
    sets = {each["version"]: each for each in chain.events("ValidatorsSet", modelId=model_id)}
    return ModelFacts(
        model_id=model_id,
        chain_id=chain.chain_id(),
        schedule=read_schedule(chain, model_id),
        runs=runs,
        budgets=chain.events("BudgetSet", modelId=model_id),
        sets=sets,
        posted=_of_compute(chain.events("RootPosted", modelId=model_id)),
        activated=_of_compute(chain.events("RootActivated", modelId=model_id)),
        claimed=_of_compute(chain.events("Claimed", modelId=model_id)),
    )


def clone_of(registry: str, implementation: str, model_id: str) -> str:
    """Where the model's clone of an implementation is: CREATE2 by the registry, with the model's id as the salt."""
    code = bytes.fromhex(f"3d602d80600a3d3981f3363d3d373d3d3d363d73{implementation[2:]}5af43d82803e903d91602b57fd5bf3")
    return tohex(keccak(b"\xff" + unhex(registry) + unhex(model_id) + keccak(code))[12:])


def head_hash(chain_id: int, registry: str, values: dict) -> str:
    kinds = ["bytes32", "uint256", "address", "bytes32", "bytes32", "uint64", "uint64", "uint32", "bytes32", "bytes32"]
    names = ["parentHead", "runId", "sequence", "round", "paramsVersion", "checkpointDigest", "receiptsRoot"]
    fields = [tohex(keccak(HEAD_TYPE.encode())), chain_id, registry, *(values[name] for name in names)]
    return tohex(keccak(encode(kinds, fields)))


def check_link(chain_id: int, registry: str, head: Head) -> None:
    """The head's hash, and that it continues the one before it, or goes back to a round before."""
    equal("the hash of its fields", head_hash(chain_id, registry, head.values), head["head"])
    parent = head.parent
    equal("its parent", head["parentHead"], parent["head"] if parent else ZERO)
    equal("its sequence", head["sequence"], parent["sequence"] + 1 if parent else 0)
    if not head.is_rollback:
        equal("its round", head["round"], parent["round"] + 1 if parent else 0)
    if not parent:
        equal("its version of the parameters", head["paramsVersion"], 1)
    if not parent or head.is_rollback:
        equal("its receipts root", head["receiptsRoot"], ZERO)


def drawn_fragment(block_hash: str, head: str, validator: str, fragments: int) -> int:
    seed = keccak(encode(["bytes32", "bytes32", "address"], [block_hash, head, validator]))
    return int.from_bytes(seed, "big") % fragments
