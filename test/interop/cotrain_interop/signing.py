"""EIP-712 digests and the one form of a signature that counts (protocol.md, "Signatures")."""

from coincurve import PublicKey

from .base import Mismatch, encode, keccak, require, tohex, unhex, word
from .spec import Spec

_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"


def domain_separator(chain_id: int, contract: str) -> bytes:
    texts = [keccak(text.encode()) for text in (_DOMAIN, "Cotrain", "1")]
    return keccak(b"".join(texts) + word("uint256", chain_id) + word("address", contract))


def struct_hash(spec: Spec, name: str, struct: dict) -> bytes:
    fields = spec.structs[name]
    values = [struct[field] for field, _ in fields]
    return keccak(keccak(spec.struct_type(name).encode()) + encode([kind for _, kind in fields], values))


def struct_digest(spec: Spec, name: str, struct: dict, separator: bytes) -> bytes:
    return keccak(b"\x19\x01" + separator + struct_hash(spec, name, struct))


def signer_of(digest: bytes, signature: str) -> str:
    data = unhex(signature)
    require(len(data) == 65, "a signature has 65 bytes")
    require(int.from_bytes(data[32:64], "big") <= _HALF_ORDER, "a signature's s lies in the upper half")
    require(data[64] in (27, 28), "a signature's v is 27 or 28")
    try:
        key = PublicKey.from_signature_and_message(data[:64] + bytes([data[64] - 27]), digest, hasher=None)
    except Exception as error:
        raise Mismatch(f"a signature cannot be recovered: {error}") from None
    return tohex(keccak(key.format(compressed=False)[1:])[12:])
