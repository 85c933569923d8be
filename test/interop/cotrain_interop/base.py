"""Bytes, hashes, canonical JSON, CIDs and ABI words (protocol.md, "Words and notation")."""

import base64
import hashlib
import json
import math

from Crypto.Hash import keccak as _keccak

ZERO = "0x" + "00" * 32
NOBODY = "0x" + "00" * 20


class Mismatch(Exception):
    """Something is not what the protocol says; the text is one sentence."""


class Missing(Mismatch):
    """A blob that is not to be had."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Mismatch(what)


def equal(what: str, found: object, due: object) -> None:
    if found == due:
        return
    for key in found if isinstance(found, dict) and isinstance(due, dict) and found.keys() == due.keys() else ():
        equal(f"{what}: {key}", found[key], due[key])
    if isinstance(found, list) and isinstance(due, list) and len(found) == len(due):
        for index, item in enumerate(found):
            equal(f"{what}[{index}]", item, due[index])
    raise Mismatch(f"{what} is {short(found)} where {short(due)} is due")


def short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 160 else text[:157] + "…"


def unhex(text: str) -> bytes:
    require(isinstance(text, str) and text.startswith("0x") and len(text) % 2 == 0, f"{short(text)} is no hex")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise Mismatch(f"{short(text)} is no hex") from None


def tohex(data: bytes) -> str:
    return "0x" + data.hex()


def keccak(data: bytes) -> bytes:
    return _keccak.new(digest_bits=256, data=data).digest()


def sha256(data: bytes) -> str:
    return tohex(hashlib.sha256(data).digest())


def cid_of(digest: str) -> str:
    """CIDv1, codec raw, multihash sha2-256, base32 in lower case without padding."""
    data = bytes([1, 0x55, 0x12, 0x20]) + unhex(digest)
    return "b" + base64.b32encode(data).decode().lower().rstrip("=")


def _no_twins(pairs: list) -> dict:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise Mismatch("a JSON object has a key twice")
    return out


MAX_JSON_VALUES = 1 << 22
MAX_JSON_LEVELS = 32


def parse_json(data: bytes, what: str) -> object:
    values = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    require(values <= MAX_JSON_VALUES, f"{what} has more than {MAX_JSON_VALUES} values")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_no_twins, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Mismatch(f"{what} is no JSON in UTF-8: {error}") from None
    require(not _is_deeper(value, MAX_JSON_LEVELS), f"{what} has more than {MAX_JSON_LEVELS} levels")
    return value


def _is_deeper(value: object, levels: int) -> bool:
    """Whether a value has more levels of lists and objects than these."""
    if not isinstance(value, (list, dict)):
        return False
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in (value.values() if isinstance(value, dict) else value))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def es_number(value: float | int) -> str:
    """A number as ECMAScript prints it."""
    if isinstance(value, int) and abs(value) < 2**53:
        return str(value)
    value = float(value)
    require(math.isfinite(value), "a number of JSON is not finite")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    shown = f"e{'+' if power > 0 else '-'}{abs(power)}"
    return sign + digits[0] + (f".{digits[1:]}" if count > 1 else "") + shown


def canonical(value: object) -> str:
    """RFC 8785."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return es_number(value)
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise Mismatch("text with a lone surrogate has no canonical form") from None
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    require(isinstance(value, dict), f"{value!r} is not of JSON")
    keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"


def digest_of_json(value: object) -> str:
    return sha256(canonical(value).encode("utf-8"))


def parse_canonical(data: bytes, what: str) -> object:
    """A document, whose bytes are its canonical JSON."""
    value = parse_json(data, what)
    require(canonical(value).encode("utf-8") == data, f"{what} is not canonical JSON")
    return value


def word(kind: str, value: object) -> bytes:
    """One value of a static type as abi.encode writes it."""
    if kind == "bytes32":
        data = unhex(value)
        require(len(data) == 32, f"{short(value)} is no bytes32")
        return data
    if kind == "address":
        data = unhex(value)
        require(len(data) == 20, f"{short(value)} is no address")
        return bytes(12) + data
    if kind == "bool":
        return int(bool(value)).to_bytes(32, "big")
    require(kind.startswith("uint"), f"{kind} is no type of the protocol")
    number = int(value)
    require(0 <= number < 2 ** int(kind[4:]), f"{number} is no {kind}")
    return number.to_bytes(32, "big")


def encode(kinds: list[str], values: list) -> bytes:
    require(len(kinds) == len(values), "there are as many values as types")
    return b"".join(word(kind, value) for kind, value in zip(kinds, values))


def unword(kind: str, data: bytes) -> object:
    """One value of a static type out of its word; padding must be zeros."""
    require(len(data) == 32, "an ABI word has 32 bytes")
    if kind == "bytes32":
        return tohex(data)
    number = int.from_bytes(data, "big")
    if kind == "address":
        require(number < 2**160, "the padding of an address is not zero")
        return tohex(data[12:])
    if kind == "bool":
        require(number < 2, "a bool is 0 or 1")
        return number == 1
    require(number < 2 ** int(kind[4:]), f"{number} is no {kind}")
    return number
