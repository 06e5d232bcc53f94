"""Python's search for garbage in cycles, set for a program that serves."""

import gc

_NEW_OBJECTS = 10_000
"""Between two looks at what is new. A request's objects and its trace live for a moment and are in no cycle: with the 700 of
Python's own they were looked at over and over, for a fifteenth of all CPU time and with pauses of 20 ms."""


def settle() -> None:
    """Called once everything that stays is made: it is not looked at again, until this is called again."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)
