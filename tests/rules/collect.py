"""The markers of all tests, as pytest collects them."""

import contextlib
import io
from collections.abc import Sequence

import pytest

MAXIMUM_IDS = 8


class Collector:
    """A pytest plugin that keeps node id -> rule ids."""

    def __init__(self) -> None:
        self.markers: dict[str, tuple[str, ...]] = {}
        self.errors: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.errors.append(report.nodeid)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            ids = {id_: None for mark in item.iter_markers("rule") for id_ in mark.args}
            if ids:
                self.markers[item.nodeid] = tuple(ids)


def collect(paths: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Node id of each marked test -> its ids. Raises RuntimeError when a file cannot be collected."""
    collector = Collector()
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main(["--collect-only", "-q", "--continue-on-collection-errors", *paths], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or collector.errors:
        raise RuntimeError(f"tests could not be collected: {collector.errors}\n{said.getvalue()[-2000:]}")
    return collector.markers


def by_rule(markers: dict[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Rule id -> the tests that carry it, the parameters of a test left out."""
    found: dict[str, dict[str, None]] = {}
    for node, ids in markers.items():
        for id_ in ids:
            found.setdefault(id_, {})[node.partition("[")[0]] = None
    return {id_: list(nodes) for id_, nodes in found.items()}
