"""Hypothesis strategies: valid objects of every schema, and their bytes in hostile but legal spelling."""

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ocpi_modules.types import OcpiObject
from tests.generated.build import Document, build, build_changes
from tests.generated.spell import spell


@dataclass(frozen=True)
class Spelled:
    """A document and the bytes that stand for it."""

    document: Document
    body: bytes


RANDOM = st.randoms(use_true_random=False)
"""Its draws are Hypothesis's own, so that a failing example shrinks."""


SOME = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
FEW = settings(SOME, max_examples=30)
"""For examples that go through a running hub: the hub of a test serves all its examples."""


@st.composite
def objects(draw: st.DrawFn, schema: type[OcpiObject], **fixed: Any) -> Spelled:
    """A valid object of `schema`; `fixed` fields have these values."""
    random = draw(RANDOM)
    document = build(schema, random, **fixed)
    return Spelled(document, spell(document, random))


@st.composite
def changes(draw: st.DrawFn, schema: type[OcpiObject], **fixed: Any) -> Spelled:
    """The body of a PATCH of an object of `schema`."""
    random = draw(RANDOM)
    document = build_changes(schema, random, **fixed)
    return Spelled(document, spell(document, random))
