"""Signed meter values as OCPI SignedData: the signed text untouched, never a number (R44, R45, D-45 to D-47)."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from cpo_adapter.charging.events import Sample
from cpo_adapter.charging.transaction import Transaction

LONGEST_VALUE = 5000
LONGEST_KEY = 512
LONGEST_METHOD = 36
NATURES = {"Transaction.Begin": "Start", "Transaction.End": "End"}
NAMELESS = "UNKNOWN"
MOST_INTERMEDIATE = 100


@dataclass(frozen=True)
class _Signed:
    """One signed value: the text as received, its readable form, and what came with it."""

    nature: str
    text: str
    plain: str
    method: str
    public_key: str | None


def signed_data(transaction: Transaction) -> tuple[dict[str, Any] | None, bool]:
    """The SignedData of the CDR, None without signed values, and whether all of them are in it.

    A text over 5000 characters has no place in OCPI and is left out, never cut; so are intermediate values after the
    hundredth.
    """
    found = [_read(sample, "Intermediate") for sample in _signed(transaction.samples)]
    found += [_read(sample, "End") for sample in _signed(transaction.stop_samples)]
    unique = list({(value.nature, value.text): value for value in found if value.text}.values())
    between = [value for value in unique if value.nature == "Intermediate"][MOST_INTERMEDIATE:]
    fitting = [v for v in unique if max(len(v.text), len(v.plain)) <= LONGEST_VALUE and v not in between]
    complete = len(fitting) == len(unique)
    if not fitting:
        return None, complete
    keys = [value.public_key for value in fitting] + [transaction.opening.public_key]
    key = next((key for key in keys if key and len(key) <= LONGEST_KEY), None)
    values = [{"nature": v.nature, "plain_data": v.plain, "signed_data": v.text} for v in fitting]
    with_key = {"public_key": key} if key else {}
    return {"encoding_method": fitting[0].method, **with_key, "signed_values": values}, complete


def _signed(samples: Iterable[Sample]) -> list[Sample]:
    return [sample for sample in samples if sample.format == "SignedData"]


def _read(sample: Sample, otherwise: str) -> _Signed:
    wrapped = _wrapper(sample.raw_value)
    text = str(wrapped.get("signedMeterData") or sample.raw_value)
    plain = _plain(text)
    method = str(wrapped.get("encodingMethod") or ("OCMF" if plain.startswith("OCMF|") else NAMELESS))
    key = wrapped.get("publicKey")
    nature = NATURES.get(sample.context, otherwise)
    return _Signed(nature, text, plain, method[:LONGEST_METHOD], key if isinstance(key, str) else None)


def _wrapper(text: str) -> dict[str, Any]:
    """The JSON object some chargers put around the signed text."""
    if not text.lstrip().startswith("{"):
        return {}
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) and isinstance(value.get("signedMeterData"), str) else {}


def _plain(text: str) -> str:
    """The readable form: the text itself, or what hex or Base64 of an OCMF text says."""
    for decoder in (bytes.fromhex, lambda encoded: base64.b64decode(encoded, validate=True)):
        try:
            decoded = decoder(text).decode()
        except (ValueError, binascii.Error):
            continue
        if decoded.startswith("OCMF|"):
            return decoded
    return text
