"""Tokens and sealed secrets: random, bound to their owner, unreadable without the key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpi_modules import secrets
from ocpi_modules.secrets import CannotOpen, Keys

KEYS = Keys.derived_from(b"k" * 32)


@pytest.mark.rule("C-14", "C-15", "X-10")
@pytest.mark.promise("S-01")
def test_a_token_is_long_random_printable_and_prefixed() -> None:
    tokens = {secrets.new_token("hubC_") for _ in range(1000)}
    assert len(tokens) == 1000
    for token in tokens:
        assert token.startswith("hubC_")
        assert len(token) - len("hubC_") >= 43
        assert len(token) <= 64
        assert all("\x21" <= character <= "\x7e" for character in token)
    with pytest.raises(ValueError, match="64"):
        secrets.new_token("x" * 22)


@pytest.mark.promise("S-03")
@given(st.text(max_size=200), st.text(max_size=20), st.text(max_size=20))
def test_what_was_sealed_opens_for_its_owner_and_purpose_only(text: str, owner: str, purpose: str) -> None:
    sealed = secrets.seal(KEYS, text, owner=owner, purpose=purpose)
    assert secrets.open_sealed(KEYS, sealed, owner=owner, purpose=purpose) == text
    for other in ({"owner": owner + "x", "purpose": purpose}, {"owner": owner, "purpose": purpose + "x"}):
        with pytest.raises(CannotOpen):
            secrets.open_sealed(KEYS, sealed, **other)


def test_an_altered_or_cut_secret_does_not_open() -> None:
    sealed = secrets.seal(KEYS, "token", owner="a", purpose="b")
    for broken in (sealed[:-1], sealed[:5], b"", bytes([sealed[0] ^ 1]) + sealed[1:]):
        with pytest.raises(CannotOpen):
            secrets.open_sealed(KEYS, broken, owner="a", purpose="b")


def test_two_seals_of_one_text_differ() -> None:
    assert secrets.seal(KEYS, "t", owner="a", purpose="b") != secrets.seal(KEYS, "t", owner="a", purpose="b")


@pytest.mark.promise("S-01")
def test_the_mac_depends_on_key_and_token_and_reveals_neither() -> None:
    other = Keys.derived_from(b"o" * 32)
    mac = secrets.token_mac(KEYS.mac[0], "token")
    assert mac == secrets.token_mac(KEYS.mac[0], "token")
    assert mac != secrets.token_mac(other.mac[0], "token")
    assert mac != secrets.token_mac(KEYS.mac[0], "Token")
    assert b"token" not in mac


def test_after_a_rotation_both_keys_recognise_and_open() -> None:
    rotated = Keys.derived_from(b"n" * 32, b"k" * 32)
    sealed = secrets.seal(KEYS, "t", owner="a", purpose="b")
    assert secrets.open_sealed(rotated, sealed, owner="a", purpose="b") == "t"
    assert secrets.token_mac(KEYS.mac[0], "t") in secrets.token_macs(rotated, "t")
    assert secrets.token_macs(rotated, "t")[0] not in secrets.token_macs(KEYS, "t")


def test_keys_do_not_show_and_have_the_right_length() -> None:
    assert repr(KEYS.mac[0]) not in repr(KEYS)
    with pytest.raises(ValueError, match="32 bytes"):
        Keys.derived_from(b"short")
