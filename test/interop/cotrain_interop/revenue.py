"""How revenue is shared out (section 11, "Revenue"), from transfers and what arrived."""

MOST_ACCOUNTS = 16_384
NOBODY = "0x" + "0" * 40


def weights(transfers: list[dict], start: int, end: int) -> dict[str, int]:
    """Share wei x seconds of each account, by the moves of what it has at the epoch's start and within it."""
    found: dict[str, int] = {}
    for each in transfers:
        time, amount = int(each["time"]), int(each["amount"])
        if time >= end:
            continue
        seconds = end - max(time, start)
        for account, sign in ((each["from"].lower(), -1), (each["to"].lower(), 1)):
            if account != NOBODY:
                found[account] = found.get(account, 0) + sign * amount * seconds
    return found


def amounts(transfers: list[dict], epochs: list[dict], excluded: list[str], treasury: str, available: int) -> dict[str, int]:
    out = {account.lower() for account in excluded} | {treasury.lower()}
    sums: dict[str, int] = {}
    for epoch in epochs:
        held = weights(transfers, int(epoch["start"]), int(epoch["end"]))
        eligible = {account: weight for account, weight in held.items() if account not in out and weight > 0}
        whole = sum(eligible.values())
        for account, weight in eligible.items():
            part = int(epoch["arrived"]) * weight // whole
            if part > 0:
                sums[account] = sums.get(account, 0) + part
    paid = dict(sorted(sums.items(), key=lambda each: (-each[1], each[0]))[:MOST_ACCOUNTS])
    rest = available - sum(paid.values())
    if rest > 0:
        paid[treasury.lower()] = rest
    return paid
