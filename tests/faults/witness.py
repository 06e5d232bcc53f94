"""What a receiver was sent, reduced as it arrives: the raw requests of a long run are many, what they amount to is little.

Nothing is asked of the hub: every number and every state here comes from the bytes that reached the receiver's socket.
"""

import hashlib
from collections import Counter, OrderedDict
from urllib.parse import unquote

from ocpi_modules import json
from tests.faults.history import Key
from tests.faults.states import Document, State, pushed, state
from tests.support.party import Party, Received

MODULES = ("locations", "tariffs", "tokens")
MOST_BASES = 500
"""Objects whose documents are kept for a PATCH to come; the load changes far fewer again and again."""
MOST_SENTENCES = 20


class Witness:
    """`raw` counts (method, module); `objects` is what a receiver has that minds every push; `wrong` says what must not be."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.since = 0
        """What was acknowledged before this number was not for it."""
        self.raw: Counter[tuple[str, str]] = Counter()
        self.objects: dict[Key, State] = {}
        self.cdrs: dict[str, set[bytes]] = {}
        self.wrong: list[str] = []
        self._bases: OrderedDict[Key, Document] = OrderedDict()
        self._newest: dict[Key, str] = {}
        party.recorder = self.heard

    @property
    def id(self) -> str:
        return str(self.party.id)

    @property
    def pushes(self) -> int:
        """How many raw pushes of objects it got."""
        return sum(count for (_, module), count in self.raw.items() if module in MODULES)

    def heard(self, call: Received) -> None:
        """`Party.recorder`."""
        parts = [unquote(part) for part in call.raw_path.split("/")]
        module = next((name for name in (*MODULES, "cdrs") if name in parts), "")
        self.raw[call.method, module] += 1
        if module == "cdrs" and call.method == "POST":
            self._cdr(call.body)
        elif module in MODULES and call.method in ("PUT", "PATCH", "DELETE"):
            self._push(call, (module, parts[-2] if module == "locations" and parts[-1].startswith("E") else parts[-1]))

    def _cdr(self, body: bytes) -> None:
        self.cdrs.setdefault(json.decode(body)["id"], set()).add(hashlib.sha256(body).digest())

    def _push(self, call: Received, key: Key) -> None:
        if call.method == "DELETE":
            self.objects.pop(key, None)
            self._bases.pop(key, None)
            if key in self._newest:
                self._newest[key] += "~"  # later than its last state, before the next
            return
        given = json.decode(call.body)
        self._in_order(key, given["last_updated"])
        child = call.raw_path.rpartition("/")[2]
        child = "" if child == key[1] else child
        try:
            document = pushed(self._bases.get(key), call.method, child, given)
        except KeyError as error:
            self._note(f"{self.id}: {call.method} {call.raw_path}: {error}")
            return
        whole = call.method == "PUT" and not child
        self.objects[key] = state(document, call.body if whole else None)
        self._bases[key] = document
        self._bases.move_to_end(key)
        if len(self._bases) > MOST_BASES:
            self._bases.popitem(last=False)

    def _in_order(self, key: Key, stamp: str) -> None:
        """C3: no older state of an object after a newer one."""
        newest = self._newest.get(key, "")
        if stamp < newest:
            self._note(f"{self.id} got {'/'.join(key)} of {stamp} after {newest}")
        self._newest[key] = max(stamp, newest)

    def _note(self, sentence: str) -> None:
        if len(self.wrong) < MOST_SENTENCES:
            self.wrong.append(sentence)
