"""Who may exchange what with whom, asked at one place for every routed message: at send time and at read time.

An agreement stands between a party in a CPO-like role and one in an eMSP-like role, and is found in either order. Whether it
holds is asked of the clock, each time: one that ended a moment ago holds no more, without anything being read again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ocpi_modules.message import Clock, PartyId
from ocpi_modules.spec import ModuleID


class DefaultPolicy(StrEnum):
    """HUB_DEFAULT_POLICY."""

    agreement = "agreement"
    open = "open"


class CdrMode(StrEnum):
    """Who answers a CPO's CDR: its eMSP (`transparent`), or the hub, which then owns the delivery (`guaranteed`)."""

    transparent = "transparent"
    guaranteed = "guaranteed"


@dataclass(frozen=True)
class Terms:
    """What two parties agreed. No modules means all of them; `valid_from` is inclusive, `valid_until` exclusive, both UTC."""

    modules: frozenset[ModuleID] = frozenset()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    cdr_mode: CdrMode = CdrMode.transparent

    def hold_at(self, now: datetime) -> bool:
        begun = self.valid_from is None or self.valid_from <= now
        return begun and (self.valid_until is None or now < self.valid_until)

    def cover(self, module: ModuleID) -> bool:
        return not self.modules or module in self.modules


DEFAULT_TERMS = Terms()
Pair = frozenset[PartyId]


class Agreements(Protocol):
    """The agreements in memory, whether they hold now or not."""

    def between(self, one: PartyId, other: PartyId) -> Terms | None: ...

    def of(self, party: PartyId) -> Collection[PartyId]: ...


class AgreementBook:
    """Agreements by their two parties. `revision` is the one they were read at.

    `listeners` are given the pairs whose terms are others now, or gone.
    """

    def __init__(self) -> None:
        self.revision: int | None = None
        self.listeners: list[Callable[[Collection[Pair]], None]] = []
        self._terms: dict[Pair, Terms] = {}
        self._others: dict[PartyId, set[PartyId]] = {}

    def replace(self, agreements: Mapping[Pair, Terms]) -> None:
        """Hold these and no others."""
        changed = {pair: terms for pair, terms in agreements.items() if self._terms.get(pair) != terms}
        self.change(changed, self._terms.keys() - agreements.keys())

    def change(self, changed: Mapping[Pair, Terms], gone: Collection[Pair]) -> None:
        """What is new or other, and what is no more; costs as much as that is."""
        for pair in gone:
            del self._terms[pair]
            for party in pair:
                self._others[party] -= pair
        self._terms |= changed
        for pair in changed:
            for party in pair:
                self._others.setdefault(party, set()).update(pair - {party})
        for listener in self.listeners:
            listener([*changed, *gone])

    def between(self, one: PartyId, other: PartyId) -> Terms | None:
        return self._terms.get(frozenset((one, other)))

    def of(self, party: PartyId) -> Collection[PartyId]:
        """Whom a party has an agreement with."""
        return self._others.get(party, frozenset())

    def all(self) -> Mapping[Pair, Terms]:
        return self._terms


class Policy:
    """`open` lets everybody talk to everybody; `agreement` asks for an agreement between the two parties that holds now."""

    def __init__(self, default: DefaultPolicy, agreements: Agreements, clock: Clock) -> None:
        self.open = default is DefaultPolicy.open
        self._agreements = agreements
        self._clock = clock

    def allows(self, sender: PartyId, receiver: PartyId, module: ModuleID) -> bool:
        if self.open:
            return True
        terms = self.terms(sender, receiver)
        return terms is not None and terms.cover(module)

    def terms(self, sender: PartyId, receiver: PartyId) -> Terms | None:
        """What holds between the two now; without an agreement None, and the defaults where everybody may talk to everybody."""
        found = self._agreements.between(sender, receiver)
        if found is not None and found.hold_at(self._clock()):
            return found
        return DEFAULT_TERMS if self.open else None

    def guarantees(self, cpo: PartyId, emsp: PartyId) -> bool:
        """Whether the hub owns the delivery of CDRs between the two."""
        terms = self.terms(cpo, emsp)
        return terms is not None and terms.cdr_mode is CdrMode.guaranteed

    def partners_of(self, party: PartyId) -> Iterator[PartyId]:
        """Those with whom a party has an agreement that holds now."""
        now = self._clock()
        for other in self._agreements.of(party):
            terms = self._agreements.between(party, other)
            if terms is not None and terms.hold_at(now):
                yield other
