"""A trace as it is shown: as a document for machines, as a line of a list, and with both legs side by side (U-06)."""

from collections.abc import Iterator, Mapping
from typing import Any

from ocpi_modules import json
from ocpi_modules.types import format_datetime

Document = dict[str, Any]
_LEG_IN = (
    "request_id",
    "target",
    "http_status",
    "status_code",
    "microseconds",
    "request_bytes",
    "answer_bytes",
    "refusal",
)
_LEG_OUT = (
    "forwarded_request_id",
    "forwarded_target",
    "forwarded_outcome",
    "forwarded_http_status",
    "forwarded_status_code",
    "forwarded_microseconds",
    "forwarded_bytes",
    "forwarded_answer_bytes",
)
_SIDES = (
    ("request id", "request_id", "forwarded_request_id"),
    ("target", "target", "forwarded_target"),
    ("outcome", "refusal", "forwarded_outcome"),
    ("HTTP status", "http_status", "forwarded_http_status"),
    ("OCPI status", "status_code", "forwarded_status_code"),
    ("microseconds", "microseconds", "forwarded_microseconds"),
    ("bytes sent", "request_bytes", "forwarded_bytes"),
    ("bytes answered", "answer_bytes", "forwarded_answer_bytes"),
)


def document(row: Mapping[str, Any]) -> Document:
    """`in` is the leg from the sender to the hub, `out` the one from the hub to the receiver; null where there was none."""
    headers = json.decode(row["headers"].encode())
    common = ("correlation_id", "sender", "receiver", "module", "interface", "method", "route")
    return {
        "at": format_datetime(row["traced_at"]),
        **{name: row[name] for name in common},
        "object": {"owner": row["object_owner"], "id": row["object_id"]},
        "in": _leg(row, _LEG_IN, headers, "request", "answer") if row["http_status"] is not None else None,
        "out": _leg(row, _LEG_OUT, headers, "forwarded", "forwarded_answer") if row["forwarded_outcome"] else None,
        "flags": list(row["flags"]),
    }


def line(row: Mapping[str, Any]) -> Document:
    """One line of a list."""
    took = row["microseconds"] if row["microseconds"] is not None else row["forwarded_microseconds"]
    code = row["status_code"] if row["status_code"] is not None else row["forwarded_status_code"]
    return {
        "at": format_datetime(row["traced_at"]),
        "correlation_id": row["correlation_id"],
        "from": row["sender"] or None,
        "to": row["receiver"] or None,
        "message": f"{row['method']} {row['module']}",
        "object": row["object_id"] or None,
        "route": row["route"] or "refused",
        "OCPI": code,
        "outcome": row["forwarded_outcome"],
        "ms": f"{took / 1000:.1f}",
    }


def side_by_side(row: Mapping[str, Any]) -> Iterator[str]:
    """Lines for people: what both legs have in common, then the legs in two columns."""
    yield (
        f"{format_datetime(row['traced_at'])}  {row['method']} {row['module']} {row['interface']}  "
        f"{row['sender'] or '-'} -> {row['receiver'] or '-'}  {row['route'] or 'refused'}"
    )
    if row["object_id"]:
        yield f"object: {row['object_owner']} {row['object_id']}".replace(":  ", ": ")
    cells = [("", "in", "out"), *((name, _cell(row[left]), _cell(row[right])) for name, left, right in _SIDES)]
    headers = json.decode(row["headers"].encode())
    for title, left, right in (("sent", "request", "forwarded"), ("answered", "answer", "forwarded_answer")):
        for name in sorted({*headers.get(left, ()), *headers.get(right, ())}):
            one, other = (_cell(headers.get(side, {}).get(name)) for side in (left, right))
            cells.append((f"{title} {name}", one, other))
    widths = [max(len(cell[column]) for cell in cells) for column in (0, 1)]
    for name, left, right in cells:
        yield f"  {name.ljust(widths[0])}  {left.ljust(widths[1])}  {right}".rstrip()
    yield from (f"  ! {flag}" for flag in row["flags"])


def _leg(row: Mapping[str, Any], names: tuple[str, ...], headers: Document, sent: str, answered: str) -> Document:
    fields = {name.removeprefix("forwarded_"): row[name] for name in names}
    return fields | {"headers": headers.get(sent, {}), "answer_headers": headers.get(answered, {})}


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
