"""Tokens and the secrets behind them: made, recognised without being stored, and sealed for later use (S-01 to S-03, C-15).

Pure: every key is an argument. A token we issue is stored only as its MAC; a token we use is sealed so that its ciphertext
opens for one owner and one purpose only.
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_LENGTH = 32
_NONCE_LENGTH = 12


class CannotOpen(Exception):
    """A sealed value does not open: another key, another owner or purpose, or it was altered."""


@dataclass(frozen=True)
class Keys:
    """The keys of one program, newest first; the older ones still recognise and open (rotation)."""

    mac: tuple[bytes, ...] = field(repr=False)
    seal: tuple[bytes, ...] = field(repr=False)
    pseudonym: tuple[bytes, ...] = field(default=(), repr=False)
    ids: tuple[str, ...] = ()
    """What each secret is called where something is stored under it; tells nothing of it."""

    @cached_property
    def ciphers(self) -> tuple[AESGCM, ...]:
        """Of the keys to seal."""
        return tuple(AESGCM(key) for key in self.seal)

    @classmethod
    def derived_from(cls, *secret_keys: bytes) -> "Keys":
        """From 32-byte secrets, newest first; the keys of each purpose are derived apart."""
        return cls(
            mac=tuple(derive_key(secret, "issued tokens") for secret in secret_keys),
            seal=tuple(derive_key(secret, "sealed secrets") for secret in secret_keys),
            pseudonym=tuple(derive_key(secret, "pseudonyms") for secret in secret_keys),
            ids=tuple(derive_key(secret, "name of the key").hex()[:16] for secret in secret_keys),
        )


def derive_key(secret: bytes, purpose: str) -> bytes:
    """A 32-byte key for one purpose (HKDF-SHA-256). ValueError unless the secret has 32 bytes."""
    if len(secret) != KEY_LENGTH:
        raise ValueError(f"A secret key has {KEY_LENGTH} bytes, this one has {len(secret)}.")
    return HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=None, info=purpose.encode()).derive(secret)


def new_token(prefix: str) -> str:
    """A token of 256 random bits in printable ASCII, at most 64 characters (C-14), with a prefix that secret scanners find."""
    token = prefix + secrets.token_urlsafe(32)
    if len(token) > 64:
        raise ValueError(f"The prefix {prefix!r} makes the token longer than 64 characters.")
    return token


def token_mac(key: bytes, token: str) -> bytes:
    """HMAC-SHA-256: what is stored and looked up instead of a token."""
    return hmac.digest(key, token.encode(), hashlib.sha256)


def token_macs(keys: Keys, token: str) -> list[bytes]:
    """The MACs a token may be stored under, newest key first."""
    return [token_mac(key, token) for key in keys.mac]


def pseudonym(key: bytes, text: str) -> str:
    """Ten hexadecimal digits in the place of a personal value: the same for the same value, nothing without the key (S-36)."""
    return hmac.digest(key, text.encode("utf-8", "replace"), hashlib.sha256).hex()[:10]


def seal(keys: Keys, text: str, *, owner: str, purpose: str) -> bytes:
    """AES-256-GCM with the newest key; only the same owner and purpose can open it."""
    nonce = secrets.token_bytes(_NONCE_LENGTH)
    return nonce + keys.ciphers[0].encrypt(nonce, text.encode(), _bound_to(owner, purpose))


def opens_under(keys: Keys, sealed: bytes, *, owner: str, purpose: str) -> str | None:
    """The id of the key it was sealed with; None when none of these opens it."""
    for id, cipher in zip(keys.ids, keys.ciphers, strict=True):
        with suppress(CannotOpen):
            _open((cipher,), sealed, _bound_to(owner, purpose))
            return id
    return None


def open_sealed(keys: Keys, sealed: bytes, *, owner: str, purpose: str) -> str:
    """The text that was sealed; raises CannotOpen."""
    return _open(keys.ciphers, sealed, _bound_to(owner, purpose))


def _open(ciphers: Sequence[AESGCM], sealed: bytes, bound_to: bytes) -> str:
    for cipher in ciphers:
        try:
            return cipher.decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], bound_to).decode()
        except (InvalidTag, ValueError):
            continue
    raise CannotOpen(
        "A stored secret does not open with the secret key or its predecessor: the key was changed or lost."
    )


def _bound_to(owner: str, purpose: str) -> bytes:
    return f"{owner}\x00{purpose}".encode()
