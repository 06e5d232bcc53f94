"""What pushes make of objects that live, one after the other, without a database. Pure.

The same rules as for a push alone: merged into the copy, the newest `last_updated` wins, with equal times the last (U-33, U-34).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hub.objects.batch_repository import Replacement, Version
from hub.objects.keep import Push, is_whole, last_updated_of, merged, stays_stale
from hub.objects.repository import Kept, ObjectKey
from ocpi_modules.spec import Method

Outcome = int | None | Exception
"""The object's new version, None when nothing changed, or why there is none."""
Outcomes = dict[int, Outcome]
"""By the place of a push; those that are missing are not for here."""


@dataclass
class Together:
    """`changes` in the order they were made; `stale` are the copies that nothing replaced after they were found stale."""

    outcomes: Outcomes = field(default_factory=dict)
    objects: dict[ObjectKey, Version] = field(default_factory=dict)
    changes: list[tuple[ObjectKey, int]] = field(default_factory=list)
    stale: set[ObjectKey] = field(default_factory=set)


@dataclass(slots=True)
class Whole:
    """All pushes of one object by their places: each whole, and all with one `last_updated`, so that all are taken or none is."""

    replacement: Replacement
    places: list[int]

    def versions(self, last: int) -> Outcomes:
        """By their places, where the last push made this version."""
        first = last - len(self.places) + 1
        return {place: first + nth for nth, place in enumerate(self.places)}


def to_replace(pushes: Sequence[Push]) -> list[Whole]:
    """The objects for which it is enough to know that they live and are not newer; everything that was pushed of each."""
    found: dict[ObjectKey, Whole | None] = {}
    for place, push in enumerate(pushes):
        known = found.get(push.key)
        said = _said(push) if known is not None or push.key not in found else None
        if said is None or (known is not None and known.replacement.last_updated != said):
            found[push.key] = None
            continue
        places = [*known.places, place] if known is not None else [place]
        found[push.key] = Whole(Replacement(push.key, said, push.body, push.correlation_id, len(places)), places)
    return [whole for whole in found.values() if whole is not None]


def to_add(pushes: Sequence[Push]) -> list[Whole]:
    """As `to_replace`, of objects that are pushed to one audience only."""
    wholes = to_replace(pushes)
    audiences = Counter(key[:3] for key in {push.key for push in pushes})
    return [whole for whole in wholes if audiences[whole.replacement.key[:3]] == 1]


def _said(push: Push) -> datetime | None:
    """The last_updated of a PUT of a whole object; None for all else, and for one that has none."""
    try:
        return last_updated_of(push, push.body) if is_whole(push) else None
    except Exception:
        return None  # it is told to its pusher by `change`


def to_change(pushes: Sequence[Push]) -> dict[ObjectKey, bool]:
    """The objects that have something to be changed here, and whether their body is looked at."""
    wanted: dict[ObjectKey, bool] = {}
    for push in _before_a_delete(pushes).values():
        wanted[push.key] = wanted.get(push.key, False) or not (is_whole(push) or push.unfit)
    return wanted


def change(pushes: Sequence[Push], living: Mapping[ObjectKey, Kept]) -> Together:
    """All that was pushed of `living` objects, up to a DELETE; one push that cannot be merged leaves the others alone."""
    done = Together()
    now = dict(living)
    left: set[ObjectKey] = set()
    for place, push in _before_a_delete(pushes).items():
        kept = now.get(push.key)
        if kept is not None:
            done.outcomes[place] = _outcome(push, kept, now, done)
        elif push.unfit and push.key not in left:
            done.outcomes[place] = None  # there is no copy to be marked
        else:
            left.add(push.key)
    return done


def _outcome(push: Push, kept: Kept, now: dict[ObjectKey, Kept], done: Together) -> Outcome:
    if push.unfit:
        if push.last_updated is None or push.last_updated >= kept.last_updated:
            done.stale.add(push.key)
            now[push.key] = kept._replace(stale=True)
        return None
    try:
        after = _after(push, kept)
    except Exception as error:
        return error
    if after is None:
        return None
    now[push.key] = Kept(after.body, after.version, after.last_updated, False, after.stale)
    done.objects[push.key] = after
    done.changes.append((push.key, after.version))
    done.stale.discard(push.key)  # what it became says so itself
    return after.version


def _before_a_delete(pushes: Sequence[Push]) -> dict[int, Push]:
    """By their place: a DELETE, and what follows it of the same object, is for the careful way."""
    before: dict[int, Push] = {}
    deleted: set[ObjectKey] = set()
    for place, push in enumerate(pushes):
        if push.method is Method.DELETE:
            deleted.add(push.key)
        elif push.key not in deleted:
            before[place] = push
    return before


def _after(push: Push, kept: Kept) -> Version | None:
    body = merged(push, kept)
    if body is None:
        return None
    said = last_updated_of(push, body)
    if said < kept.last_updated:
        return None
    return Version(push.key, kept.version + 1, said, body, push.correlation_id, stays_stale(push, kept))
