"""The inner learning rate of a step, in doubles."""

import math


def learning_rate(schedule: dict, inner_lr_ppb: int, global_step: int, optimizer_step: int) -> float:
    rise = min(_rise(global_step, schedule["warmupSteps"]), _rise(optimizer_step, schedule["freshWarmupSteps"]))
    return inner_lr_ppb / 1e9 * (rise * _factor(schedule, global_step))


def _rise(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / steps) if steps > 0 else 1.0


def _factor(schedule: dict, step: int) -> float:
    if schedule["kind"] == "warmup-constant":
        return 1.0
    floor, end = schedule["floor"], schedule["steps"]
    if schedule["kind"] == "cosine":
        root = _cos(math.pi / 2 * _passed(step, schedule["warmupSteps"], end))
        return floor + (1 - floor) * (root * root)
    return floor + (1 - floor) * (1 - _passed(step, end - schedule["decaySteps"], end))


def _passed(step: int, start: int, end: int) -> float:
    if step >= end:
        return 1.0
    return 0.0 if step <= start else (step - start) / (end - start)


def _cos(x: float) -> float:
    total = 1.0
    for n in range(22, 0, -2):
        total = 1 - (total * (x * x)) / (n * (n - 1))
    return total
