"""What one receiving party is to get."""

from uuid import uuid4

from hub.delivery.destinations import Destination, Pending
from hub.objects.changelog import Change, Position, Window
from hub.objects.repository import ObjectKey
from ocpi_modules.spec import ModuleID
from tests.hub.network import CPO, EMSP

KEY = ObjectKey(CPO, ModuleID.locations, "LOC1", "*")
WINDOW = Window((Change(Position(7, 1), KEY, 1),), Position(7, 2), full=False)


def test_what_a_party_owns_is_not_to_be_sent_to_it_and_its_cursor_moves_over_it() -> None:
    owner, other = (Destination(party, uuid4(), 1, Position(1, 0)) for party in (CPO, EMSP))
    for destination in (owner, other):
        destination.fed(WINDOW)
    assert (owner.waiting, owner.cursor) == (False, Position(7, 2))
    assert (other.waiting, other.cursor) == (True, Position(1, 0))
    for destination in (owner, other):
        destination.told(Pending(KEY, 2))
    assert [bool(destination.waiting) for destination in (owner, other)] == [False, True]
    assert other.pending[KEY].version == 2
