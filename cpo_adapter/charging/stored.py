"""Facts and openings as JSON bytes, for a store that only appends. `load(dump(fact)) == fact`, every digit kept."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

import msgspec

from cpo_adapter.charging.events import Orphaned, Sampled, Started, StatusReported, Stopped
from cpo_adapter.charging.transaction import Fact, Opening

_KINDS: Mapping[str, type[Fact]] = MappingProxyType(
    {kind.__name__: kind for kind in (Started, Sampled, StatusReported, Stopped, Orphaned)}
)


def dump(fact: Fact) -> bytes:
    """The fact as JSON: its kind and its members."""
    return msgspec.json.encode({"kind": type(fact).__name__, "fact": fact})


def load(stored: bytes) -> Fact:
    """The fact of `dump`. Raises ValueError for anything else."""
    parts = msgspec.json.decode(stored, type=dict[str, msgspec.Raw])
    kind = msgspec.json.decode(parts["kind"], type=str) if "kind" in parts else ""
    if kind not in _KINDS or "fact" not in parts:
        raise ValueError(f"The stored fact is of the unknown kind {kind!r}.")
    return msgspec.json.decode(parts["fact"], type=_KINDS[kind])


def dump_opening(opening: Opening) -> bytes:
    """The opening as JSON; Decimals of its OCPI objects stay numbers."""
    return _ENCODER.encode(opening)


def load_opening(stored: bytes) -> Opening:
    """The opening of `dump_opening`. Raises ValueError for anything else."""
    return _OPENINGS.decode(stored)


_ENCODER = msgspec.json.Encoder(decimal_format="number")
_OPENINGS = msgspec.json.Decoder(Opening, float_hook=Decimal)
