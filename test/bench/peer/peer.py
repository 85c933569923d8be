"""PyTorch's inner step of the same model, with the same optimizer on the same tokens, and its products alone.

A JSON object comes in as a line (threads, seconds, config, microBatch, optimizer, learningRate, tensors, parameters: a file of fp32
values in the order of `tensors`, tokens), and what was made of it goes out. Then each line names what is to be timed: eager, compiled
or products; the answer is the time of one step, or of all its products, by the clock and of the processor.
"""

import json
import sys
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F

asked = json.loads(sys.stdin.readline())
config = asked["config"]
BATCH, LENGTH, WIDTH = asked["microBatch"], config["sequence"], config["width"]
HEADS, GROUPS = config["heads"], config["keyValueHeads"]
HEAD = WIDTH // HEADS
torch.set_num_threads(asked["threads"])
torch.set_num_interop_threads(1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


def norm() -> nn.RMSNorm:
    return nn.RMSNorm(WIDTH, eps=config["normEpsilon"])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj = linear(WIDTH, HEADS * HEAD)
        self.k_proj = linear(WIDTH, GROUPS * HEAD)
        self.v_proj = linear(WIDTH, GROUPS * HEAD)
        self.o_proj = linear(HEADS * HEAD, WIDTH)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        def split(y: Tensor, heads: int) -> Tensor:
            return y.view(BATCH, LENGTH, heads, HEAD).transpose(1, 2)

        q = rotate(split(self.q_proj(x), HEADS), cos, sin)
        k = rotate(split(self.k_proj(x), GROUPS), cos, sin)
        v = split(self.v_proj(x), GROUPS)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(BATCH, LENGTH, WIDTH))


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate_proj = linear(WIDTH, config["hidden"])
        self.up_proj = linear(WIDTH, config["hidden"])
        self.down_proj = linear(config["hidden"], WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = norm()
        self.self_attn = Attention()
        self.post_attention_layernorm = norm()
        self.mlp = Mlp()

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Names are those of the checkpoint's tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(config["vocabulary"], WIDTH)
        self.model.layers = nn.ModuleList(Layer() for _ in range(config["layers"]))
        self.model.norm = norm()
        if not config["tiedEmbeddings"]:
            self.lm_head = linear(WIDTH, config["vocabulary"])
        frequencies = config["ropeTheta"] ** (-torch.arange(0, HEAD, 2, dtype=torch.float64) / HEAD)
        angles = torch.outer(torch.arange(LENGTH, dtype=torch.float64), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.model.embed_tokens(tokens[:, :-1])
        for layer in self.model.layers:
            x = layer(x, self.cos, self.sin)
        head = self.model.embed_tokens if config["tiedEmbeddings"] else self.lm_head
        logits = F.linear(self.model.norm(x), head.weight)
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


class Step:
    """Forward, backward, clipping, AdamW: as PyTorch has them fastest."""

    def __init__(self, compiled: bool) -> None:
        decoder = Decoder()
        with open(asked["parameters"], "rb") as file:
            values = torch.frombuffer(bytearray(file.read()), dtype=torch.float32)
        tensors = dict(decoder.named_parameters())
        at = 0
        with torch.no_grad():
            for name in asked["tensors"]:
                tensor = tensors.pop(name)
                tensor.copy_(values[at : at + tensor.numel()].view_as(tensor))
                at += tensor.numel()
        assert not tensors and at == len(values), "the model has other tensors"
        optimizer = asked["optimizer"]
        self.parameters = list(decoder.parameters())
        exempt = [decoder.model.embed_tokens.weight, *(p for p in self.parameters if p.dim() == 1)]
        decaying = [p for p in self.parameters if all(p is not other for other in exempt)]
        self.optimizer = torch.optim.AdamW(
            [{"params": decaying, "weight_decay": optimizer["weightDecay"]}, {"params": exempt, "weight_decay": 0}],
            lr=asked["learningRate"],
            betas=(optimizer["beta1"], optimizer["beta2"]),
            eps=optimizer["epsilon"],
            fused=True,
        )
        self.clip = optimizer["clipNorm"]
        self.loss = torch.compile(decoder) if compiled else decoder
        self.tokens = torch.tensor(asked["tokens"]).view(BATCH, LENGTH + 1)

    def __call__(self) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.tokens)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        return loss.item()


def products() -> tuple[list, int]:
    """Calls of all products of a step, forward and backward, and their floating-point operations. Results of a shape share memory."""
    shared: dict[tuple, Tensor] = {}
    calls, flops = [], 0

    def tensor(kind: str, *shape: int) -> Tensor:
        return shared.setdefault((kind, *shape), torch.rand(*shape) - 0.5)

    def product(multiply, a: Tensor, b: Tensor) -> None:
        nonlocal flops
        out = tensor("result", *a.shape[:-1], b.shape[-1])
        calls.append(lambda: multiply(a, b, out=out))
        flops += 2 * out.numel() * a.shape[-1]

    tokens, hidden, vocabulary = BATCH * LENGTH, config["hidden"], config["vocabulary"]
    layer = [(WIDTH, WIDTH)] * 2 + [(WIDTH, GROUPS * HEAD)] * 2 + [(WIDTH, hidden)] * 2 + [(hidden, WIDTH)]
    for inputs, outputs in [*(layer * config["layers"]), (WIDTH, vocabulary)]:
        x, gradient = tensor("x", tokens, inputs), tensor("gradient", tokens, outputs)
        weight = tensor("weight", outputs, inputs)
        product(torch.mm, x, weight.t())
        product(torch.mm, gradient, weight)
        product(torch.mm, gradient.t(), x)
    batch, rows = BATCH * GROUPS, HEADS // GROUPS * LENGTH
    for _ in range(config["layers"]):
        q, mixed = tensor("q", batch, rows, HEAD), tensor("mixed", batch, rows, HEAD)
        k, v = tensor("k", batch, LENGTH, HEAD), tensor("v", batch, LENGTH, HEAD)
        scores = tensor("scores", batch, rows, LENGTH)
        for a, b in (
            (q, k.mT),
            (scores, v),
            (mixed, v.mT),
            (scores, k),
            (scores.mT, q),
            (scores.mT, mixed),
        ):
            product(torch.bmm, a, b)
    return calls, flops


def timed(call) -> dict:
    for _ in range(3):
        call()
    start, cpu, calls = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < asked["seconds"]:
        call()
        calls += 1
    return {
        "milliseconds": (time.perf_counter() - start) * 1_000 / calls,
        "cpuMilliseconds": (time.process_time() - cpu) * 1_000 / calls,
    }


def say(answer: dict) -> None:
    print(json.dumps(answer), flush=True)


calls, flops = products()
eager = Step(False)
made = {"eager": eager, "products": lambda: [call() for call in calls]}
answer = {"version": torch.__version__, "flops": flops, "losses": [eager() for _ in range(5)]}
try:
    compiled = Step(True)
    compiled()
    made["compiled"] = compiled
except Exception as error:  # no compiler for C++ here, or one that it cannot use
    answer["problem"] = str(error).strip().splitlines()[-1][:200]
say(answer)
for line in sys.stdin:
    say(timed(made[line.strip()]))
