"""Transaction numbers for chargers: a sequence through a keyed permutation of 31 bits, so that nobody can guess or repeat
one (contracts 8, R17, S-48)."""

import hashlib
import hmac

_ROUNDS = 4
_MOST = 2**31


def permuted(key: bytes, number: int) -> int:
    """A positive number below 2**31, different for every `number` from 1 to 2**31 - 1."""
    while True:
        number = _feistel(key, number)
        if 0 < number < _MOST:
            return number


def _feistel(key: bytes, number: int) -> int:
    left, right = number >> 16, number & 0xFFFF
    for round_ in range(_ROUNDS):
        digest = hmac.digest(key, bytes([round_]) + right.to_bytes(2, "big"), hashlib.sha256)
        left, right = right, left ^ int.from_bytes(digest[:2], "big")
    return left << 16 | right
