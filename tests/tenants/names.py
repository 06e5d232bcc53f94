"""What a request calls the things of a tenant: by their real names, or by names that exist nowhere."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ocpi_modules.message import PartyId
from tests.support.objects import Document

NOWHERE_CPO, NOWHERE_EMSP = PartyId("XX", "NOC"), PartyId("XY", "NOE")
NOWHERE = "OMEGA"


@dataclass(frozen=True)
class Names:
    """`ids` are by path variable, those the hub gave by `<module>.<variable>`; `links` are queries of Links by module.

    `documents` are bodies as the tenant wrote them, by object. `mark` stands in every id and text of the tenant.
    """

    mark: str
    cpo: PartyId
    emsp: PartyId
    ids: Mapping[str, str]
    links: Mapping[str, tuple[str, ...]]
    document: Callable[[str, str | None], Document]

    def id(self, module: str, variable: str) -> str:
        """Of a variable nobody has an id for yet: a Location's."""
        return self.ids.get(f"{module}.{variable}") or self.ids.get(variable) or self.ids["location_id"]

    @cached_property
    def labels(self) -> dict[str, str]:
        """Each name in lower case -> what it stands for."""
        links = [(link, f"<link {module} {n}>") for module, all_ in self.links.items() for n, link in enumerate(all_)]
        ids = [(value, f"<{name}>") for name, value in self.ids.items()]
        parties = [(str(self.cpo), "<cpo>"), (str(self.emsp), "<emsp>"), (self.mark, "<mark>")]
        return {word.lower(): label for word, label in links + ids + parties}

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Any of the names, the longest first."""
        words = sorted(self.labels, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, words)), re.IGNORECASE)


def nowhere(names: Names) -> Names:
    """The same names, each as long as before and nobody's."""
    parties = {names.cpo: NOWHERE_CPO, names.emsp: NOWHERE_EMSP}

    def other(text: str) -> str:
        marked = text.replace(names.mark, NOWHERE)
        for party, nobody in parties.items():
            marked = marked.replace(str(party), str(nobody))
        return marked

    def id_of(name: str, value: str) -> str:
        return value.swapcase() if "." in name else other(value)

    def link_of(link: str) -> str:
        return "&".join(_given(pair) if pair.startswith("hub_") else pair for pair in link.split("&"))

    def _given(pair: str) -> str:
        name, _, value = pair.partition("=")
        return f"{name}={other(value) if name == 'hub_to' else value.swapcase()}"

    return replace(
        names,
        mark=NOWHERE,
        cpo=NOWHERE_CPO,
        emsp=NOWHERE_EMSP,
        ids={name: id_of(name, value) for name, value in names.ids.items()},
        links={module: tuple(map(link_of, links)) for module, links in names.links.items()},
        document=lambda name, own_id: _renamed(names.document(name, own_id), other, parties),
    )


def _renamed(value: Any, other: Callable[[str], str], parties: Mapping[PartyId, PartyId]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, other, parties) for item in value]
    if isinstance(value, Mapping):
        party = PartyId(value.get("country_code"), value.get("party_id"))  # type: ignore[arg-type]
        codes = parties[party]._asdict() if party in parties else {}
        return {name: codes.get(name, _renamed(item, other, parties)) for name, item in value.items()}
    return other(value) if isinstance(value, str) else value
