"""What pushes make of objects that live, one after the other, without a database. Pure.

The same rules as for a push alone: merged into the copy, the newest `last_updated` wins, with equal times the last (U-33, U-34).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hub.objects.batch_repository import Version
from hub.objects.keep import Push, is_whole, last_updated_of, merged
from hub.objects.repository import Kept, ObjectKey
from ocpi_modules.spec import Method

Outcome = int | None | Exception
"""The object's new version, None when nothing changed, or why there is none."""


@dataclass
class Together:
    """`outcomes` by the place of a push; those that are missing are not for here. `changes` in the order they were made."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    objects: dict[ObjectKey, Version] = field(default_factory=dict)
    changes: list[tuple[ObjectKey, int]] = field(default_factory=list)


def to_change(pushes: Sequence[Push]) -> dict[ObjectKey, bool]:
    """The objects that have something to be changed here, and whether their body is looked at."""
    wanted: dict[ObjectKey, bool] = {}
    for push in _before_a_delete(pushes).values():
        wanted[push.key] = wanted.get(push.key, False) or not is_whole(push)
    return wanted


def change(pushes: Sequence[Push], living: Mapping[ObjectKey, Kept]) -> Together:
    """All that was pushed of `living` objects, up to a DELETE; one push that cannot be merged leaves the others alone."""
    done = Together()
    now = dict(living)
    for place, push in _before_a_delete(pushes).items():
        kept = now.get(push.key)
        if kept is None:
            continue
        try:
            after = _after(push, kept)
        except Exception as error:
            done.outcomes[place] = error
            continue
        done.outcomes[place] = after and after.version
        if after is not None:
            now[push.key] = Kept(after.body, after.version, after.last_updated, False)
            done.objects[push.key] = after
            done.changes.append((push.key, after.version))
    return done


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
    return Version(push.key, kept.version + 1, said, body, push.correlation_id)
