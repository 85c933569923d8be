"""Payloads, the aggregate, the outer step and shards, bit for bit (protocol.md, "A round" and "Closing a round").

numpy's float32 arithmetic rounds once per operation to nearest, ties to even, and keeps subnormals: what the page asks.
"""

import json

import numpy

from .base import Mismatch, equal, require, sha256, tohex

F32 = numpy.float32
BLOCK = 256
MAX_SCALE = F32(2.6793883890187504e36)


class Unreadable(Mismatch):
    """A payload that no encoder writes, and the outcome that it has for that."""

    def __init__(self, outcome: str, what: str):
        super().__init__(what)
        self.outcome = outcome


def _refuse_unless(holds: object, what: str) -> None:
    if not bool(holds):
        raise Unreadable("nonFinite", what)


def payload_length(codec: int, elements: int) -> int:
    return 4 * elements if codec == 0 else 4 * -(-elements // BLOCK) + elements


def decode(codec: int, data: bytes, elements: int) -> numpy.ndarray:
    """The pseudo-gradient of a payload; refuses what no encoder writes."""
    if len(data) != payload_length(codec, elements):
        raise Unreadable("payloadMalformed", f"a payload has {len(data)} bytes where {payload_length(codec, elements)} are due")
    if codec == 0:
        values = numpy.frombuffer(data, dtype="<f4")
        _refuse_unless(numpy.isfinite(values).all(), "a payload has a value that is not finite")
        return values
    equal("the codec", codec, 1)
    blocks = -(-elements // BLOCK)
    scales = numpy.frombuffer(data, dtype="<f4", count=blocks)
    _refuse_unless((scales >= 0).all() and (scales <= MAX_SCALE).all(), "a payload has a scale that is not allowed")
    _refuse_unless(not numpy.signbit(scales).any(), "a payload has a scale of −0")
    values = numpy.frombuffer(data, dtype="i1", offset=4 * blocks)
    _refuse_unless(not (values == -128).any(), "a payload has a byte of −128")
    return values.astype(F32) * numpy.repeat(scales, BLOCK)[:elements]


def encode_int8(delta: numpy.ndarray, residual: numpy.ndarray | None) -> tuple[bytes, numpy.ndarray]:
    """Payload and next residual."""
    x = delta.astype(F32) if residual is None else delta.astype(F32) + residual.astype(F32)
    elements = len(x)
    blocks = -(-elements // BLOCK)
    scales = numpy.zeros(blocks, F32)
    values = numpy.zeros(elements, numpy.int8)
    residual = x.copy()
    for block in range(blocks):
        part = slice(block * BLOCK, min((block + 1) * BLOCK, elements))
        scale = F32(numpy.abs(x[part]).max() / F32(127))
        require(bool(scale <= MAX_SCALE), "a pseudo-gradient is not finite")
        scales[block] = scale
        if scale == 0:
            continue
        rounded = numpy.clip(numpy.rint(x[part] / scale), -127, 127).astype(numpy.int8)
        values[part] = rounded
        residual[part] = x[part] - rounded.astype(F32) * scale
    return scales.astype("<f4").tobytes() + values.tobytes(), residual


def weights(weighting: str, tokens: list[int], steps: list[int]) -> list[numpy.float32]:
    """By ascending worker; in doubles, then fp32."""
    total = sum(tokens)
    if weighting == "tokens":
        return [F32(each / total) for each in tokens]
    if weighting == "uniform":
        return [F32(1 / len(tokens)) for _ in tokens]
    require(weighting == "normalised", f"the weighting {weighting} is not known here")
    one = [each / taken for each, taken in zip(tokens, steps)]
    together = 0.0
    for each in one:
        together += each
    return [F32(each / together) for each in one]


def pull(weighting: str, tokens: int, steps: int) -> int:
    """What a payload's weight is in proportion to, exactly."""
    return {"tokens": tokens, "uniform": 1, "normalised": tokens // steps}[weighting]


def outer_step(params, buffer, gradient, lr_ppm: int, momentum_ppm: int):
    """Nesterov: (next parameters, next buffer)."""
    lr, momentum = F32(lr_ppm / 1_000_000), F32(momentum_ppm / 1_000_000)
    after = momentum * buffer + gradient
    return params - lr * (gradient + momentum * after), after


def layout(table: list[dict], fragment: int) -> list[tuple[str, list[int], int]]:
    """Name, shape and number of elements of a fragment's tensors in order."""
    out = []
    for entry in table:
        if entry["fragment"] == fragment:
            count = 1
            for size in entry["shape"]:
                count *= size
            out.append((entry["name"], entry["shape"], count))
    return out


def shard_header(table: list[dict], fragment: int) -> bytes:
    entries = [("__metadata__", {"format": "cotrain-fragment-1", "fragment": str(fragment)})]
    at = 0
    for prefix in ("", "outer."):
        for name, shape, count in layout(table, fragment):
            entries.append((prefix + name, {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * count]}))
            at += 4 * count
    body = ",".join(
        f"{json.dumps(key, ensure_ascii=False)}:{json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for key, value in entries
    )
    text = f"{{{body}}}".encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def shard_entry(table: list[dict], fragment: int, params, buffer) -> tuple[dict, bytes]:
    """The manifest's entry of a fragment, and the shard."""
    header = shard_header(table, fragment)
    parts = [params.astype("<f4").tobytes(), buffer.astype("<f4").tobytes()]
    shard = header + parts[0] + parts[1]
    entry = {
        "index": fragment,
        "digest": sha256(shard),
        "bytes": len(shard),
        "parameters": {"offset": len(header), "bytes": len(parts[0]), "digest": sha256(parts[0])},
        "outer": {"offset": len(header) + len(parts[0]), "bytes": len(parts[1]), "digest": sha256(parts[1])},
    }
    return entry, shard


def read_shard(table: list[dict], entry: dict, shard: bytes):
    """Parameters and buffer of a shard, which must be the one its entry describes, byte for byte."""
    header = shard_header(table, entry["index"])
    require(shard.startswith(header), f"the shard of fragment {entry['index']} has another header than its table makes")
    count = sum(each for _, _, each in layout(table, entry["index"]))
    equal("the length of a shard", len(shard), len(header) + 8 * count)
    params = numpy.frombuffer(shard, dtype="<f4", offset=len(header), count=count)
    buffer = numpy.frombuffer(shard, dtype="<f4", offset=len(header) + 4 * count)
    equal(f"the entry of fragment {entry['index']}", shard_entry(table, entry["index"], params, buffer)[0], entry)
    return params, buffer


def fragment_table(tensors: list[tuple[str, list[int], int | None]], fragments: int) -> list[dict]:
    """Layer l to fragment l mod F; the others, largest first, to the smallest."""
    sizes = [0] * fragments
    place: dict[str, int] = {}

    def count(shape: list[int]) -> int:
        product = 1
        for size in shape:
            product *= size
        return product

    for name, shape, layer in tensors:
        if layer is not None:
            place[name] = layer % fragments
            sizes[layer % fragments] += count(shape)
    others = [(name, shape) for name, shape, layer in tensors if layer is None]
    for name, shape in sorted(others, key=lambda each: (-count(each[1]), each[0])):
        smallest = sizes.index(min(sizes))
        place[name] = smallest
        sizes[smallest] += count(shape)
    return [{"name": name, "shape": shape, "fragment": place[name]} for name, shape, _ in tensors]


def blake3_of(parts: list[bytes]) -> str:
    from blake3 import blake3

    hasher = blake3()
    for part in parts:
        hasher.update(part)
    return tohex(hasher.digest())


