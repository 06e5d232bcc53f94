"""Messages, counted from what routing and delivery say of them, behind their answers. No database, no waiting."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

from hub.traces.record import Entry, Flag, LegIn, LegOut
from ocpi_modules.status import OcpiError

MOST_PARTIES = 500
OTHERS = "others"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SECOND = 1e9
_Labels = tuple[str, str, str]


class MessageCounts:
    """`leg`: `in` is a request of a partner, `forwarded` what was sent on for it, `pushed` what the hub delivers by itself.

    `result` of `in`: answered (whatever the answer says), refused by the hub, failed; else the outcome's name of
    `hub.delivery.outcome`. `party` is the partner; from MOST_PARTIES of them on, those that are new stand together.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._messages = Counter(
            "ocpihub_messages", "Messages, by leg, module and result", ("leg", "module", "result"), registry=registry
        )
        self._of_parties = Counter(
            "ocpihub_party_messages",
            "Messages from (leg in) and to a party, by result",
            ("party", "leg", "result"),
            registry=registry,
        )
        self._seconds = Histogram(
            "ocpihub_message_seconds",
            "From a request to its answer",
            ("leg", "module"),
            buckets=BUCKETS,
            registry=registry,
        )
        self._odd = Counter(
            "ocpihub_odd_messages", "Messages that were served although something is odd", ("event",), registry=registry
        )
        self._parties: set[str] = set()

    def count(self, entries: Iterable[Entry]) -> None:
        """Each once."""
        messages: Tally[_Labels] = Tally()
        of_parties: Tally[_Labels] = Tally()
        for entry in entries:
            if isinstance(entry, Flag):
                self._odd.labels(entry.event).inc()
                continue
            leg, party, module, result = _said(entry)
            messages[leg, module, result] += 1
            of_parties[self._bounded(party), leg, result] += 1
            self._seconds.labels(leg, module).observe((entry.ended - entry.began) / _SECOND)
        for counter, tally in ((self._messages, messages), (self._of_parties, of_parties)):
            for labels, times in tally.items():
                counter.labels(*labels).inc(times)

    def _bounded(self, party: str) -> str:
        if party not in self._parties:
            if len(self._parties) >= MOST_PARTIES:
                return OTHERS
            self._parties.add(party)
        return party


def _said(entry: LegIn | LegOut) -> tuple[str, str, str, str]:
    """Leg, party, module and result."""
    if isinstance(entry, LegOut):
        leg = "pushed" if entry.request is None else "forwarded"
        return leg, str(entry.message.to), str(entry.message.module), type(entry.outcome).__name__
    caller, answer = entry.caller, entry.answer
    result = (
        "answered" if not isinstance(answer, Exception) else "refused" if isinstance(answer, OcpiError) else "failed"
    )
    party = str(caller.party or "") if caller else ""
    return "in", party, str(entry.request.module), result
