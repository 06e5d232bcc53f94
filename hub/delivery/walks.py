"""The order of a walk through all objects: what is revoked, then tariffs, then what may refer to them (promises section 2). Pure.

The place of a walk is (stretch and owner, module, key). A stretch is a digit, which stands before every owner: a program before
this one, which knows of no stretches, walks through everything from there. Its own places begin with an owner, and the rest of
everything follows.
"""

from hub.delivery.destinations import Place

REVOKED, LAST, ALL = "0", "2", ""
_NOTHING: tuple[str, str, str] = ("", "", "")


def opened(place: Place) -> tuple[str, tuple[str, str, str]]:
    """The stretch of a place, and the key (owner, module, key) it has come to."""
    owner, module, key = place or (REVOKED, "", "")
    return (owner[0], (owner[1:], module, key)) if owner[:1].isdigit() else (ALL, (owner, module, key))


def after(stretch: str, key: tuple[str, str, str] | None) -> Place | None:
    """The place behind `key`, or behind the whole stretch; None at the end of everything."""
    if key is None:
        if stretch in (LAST, ALL):
            return None
        stretch, key = str(int(stretch) + 1), _NOTHING
    owner, module, name = key
    return stretch + owner, module, name
