"""The model's forward pass in numpy, in doubles (protocol.md, "Architecture")."""

import numpy

from .base import Mismatch, equal, require

_BATCH = 64


def tensors(model: dict) -> list[tuple[str, list[int], int | None]]:
    """Name, shape and layer of every parameter, in order."""
    d, hidden, vocabulary = model["width"], model["hidden"], model["vocabulary"]
    require(d % (2 * model["heads"]) == 0 and model["heads"] % model["keyValueHeads"] == 0, "the heads do not fit the width")
    kv = d // model["heads"] * model["keyValueHeads"]
    out: list[tuple[str, list[int], int | None]] = [("model.embed_tokens.weight", [vocabulary, d], None)]
    for layer in range(model["layers"]):
        for name, shape in (
            ("input_layernorm", [d]),
            ("self_attn.q_proj", [d, d]),
            ("self_attn.k_proj", [kv, d]),
            ("self_attn.v_proj", [kv, d]),
            ("self_attn.o_proj", [d, d]),
            ("post_attention_layernorm", [d]),
            ("mlp.gate_proj", [hidden, d]),
            ("mlp.up_proj", [hidden, d]),
            ("mlp.down_proj", [d, hidden]),
        ):
            out.append((f"model.layers.{layer}.{name}.weight", shape, layer))
    out.append(("model.norm.weight", [d], None))
    if not model["tiedEmbeddings"]:
        out.append(("lm_head.weight", [vocabulary, d], None))
    return out


def parameters_of(table: list[dict], fragments: dict[int, numpy.ndarray]) -> dict[str, numpy.ndarray]:
    """Tensors by name out of the fragments' flat values."""
    at = dict.fromkeys(fragments, 0)
    out = {}
    for entry in table:
        count = int(numpy.prod(entry["shape"], dtype=numpy.int64))
        start = at[entry["fragment"]]
        values = fragments[entry["fragment"]][start : start + count]
        out[entry["name"]] = values.astype(numpy.float64).reshape(entry["shape"])
        at[entry["fragment"]] = start + count
    return out


def _norm(x, weight, epsilon: float):
    return x / numpy.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight


def _rotate(x, cos, sin):
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    return numpy.concatenate([first * cos - second * sin, second * cos + first * sin], -1)


def _attention(a, weight, prefix: str, model: dict, cos, sin):
    """[B, S, d] → [B, S, d]"""
    batch, length, d = a.shape
    heads, kv_heads = model["heads"], model["keyValueHeads"]
    width = d // heads

    def split(name: str, count: int):
        projected = a @ weight(f"{prefix}.{name}").T
        return projected.reshape(batch, length, count, width).transpose(0, 2, 1, 3)

    q = _rotate(split("q_proj", heads), cos, sin) / numpy.sqrt(width)
    k = numpy.repeat(_rotate(split("k_proj", kv_heads), cos, sin), heads // kv_heads, axis=1)
    v = numpy.repeat(split("v_proj", kv_heads), heads // kv_heads, axis=1)
    scores = q @ k.transpose(0, 1, 3, 2) + numpy.triu(numpy.full((length, length), -1e9), 1)
    scores = numpy.exp(scores - scores.max(-1, keepdims=True))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ v
    return mixed.transpose(0, 2, 1, 3).reshape(batch, length, d) @ weight(f"{prefix}.o_proj").T


def logits(model: dict, parameters: dict[str, numpy.ndarray], tokens: numpy.ndarray):
    """tokens [B, S] → [B, S, V]"""
    length = tokens.shape[1]
    width = model["width"] // model["heads"]
    half = numpy.arange(width // 2)
    angles = numpy.arange(length)[:, None] / model["ropeTheta"] ** (2 * half / width)[None, :]
    cos, sin = numpy.cos(angles), numpy.sin(angles)

    def weight(name: str):
        return parameters[f"{name}.weight"]

    x = weight("model.embed_tokens")[tokens]
    for layer in range(model["layers"]):
        prefix = f"model.layers.{layer}"
        a = _norm(x, weight(f"{prefix}.input_layernorm"), model["normEpsilon"])
        x = x + _attention(a, weight, f"{prefix}.self_attn", model, cos, sin)
        m = _norm(x, weight(f"{prefix}.post_attention_layernorm"), model["normEpsilon"])
        gate = m @ weight(f"{prefix}.mlp.gate_proj").T
        up = m @ weight(f"{prefix}.mlp.up_proj").T
        x = x + (gate / (1 + numpy.exp(-gate)) * up) @ weight(f"{prefix}.mlp.down_proj").T
    last = _norm(x, weight("model.norm"), model["normEpsilon"])
    return last @ weight("model.embed_tokens" if model["tiedEmbeddings"] else "lm_head").T


def loss(model: dict, parameters: dict[str, numpy.ndarray], sequences: numpy.ndarray) -> float:
    """Mean loss of sequences [N, S + 1], nats per token."""
    total = 0.0
    for start in range(0, len(sequences), _BATCH):
        part = sequences[start : start + _BATCH]
        out = logits(model, parameters, part[:, :-1])
        out = out - out.max(-1, keepdims=True)
        picked = numpy.take_along_axis(out, part[:, 1:, None], -1)[..., 0]
        total += float((numpy.log(numpy.exp(out).sum(-1)) - picked).mean(-1).sum())
    return total / len(sequences)


def micro_bits_per_byte(nats: float, split: dict) -> int:
    value = nats / numpy.log(2) * split["tokens"] / split["bytes"] * 1_000_000
    if not numpy.isfinite(value):
        raise Mismatch("a held-out loss is not finite")
    return int(numpy.floor(value + 0.5))


def check_table(model: dict, table: list[dict], fragments: int, make) -> None:
    equal("the fragment table", table, make(tensors(model), fragments))
