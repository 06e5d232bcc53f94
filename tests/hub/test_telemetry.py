"""The log: what is written, what is never written, and what becomes of a line there is no room for."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hub import telemetry

FULL = Path("/dev/full")


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.rule("F-13")
@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_line_that_cannot_be_written_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with FULL.open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        telemetry.configure_logs()
        before = telemetry.dropped_lines()
        for _ in range(3):
            structlog.get_logger("test").error("nobody will read this")
        assert telemetry.dropped_lines() == before + 3


def test_a_line_is_written_at_once_and_without_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr("sys.stderr", log)
        telemetry.configure_logs()
        structlog.get_logger("test").info("said", header="Token c2VjcmV0")
        text = (tmp_path / "log").read_text()
    assert text.count("\n") == 1
    assert "said" in text
    assert "c2VjcmV0" not in text
    assert telemetry.dropped_lines() == 0


def test_a_stream_that_is_no_file_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = io.StringIO()
    monkeypatch.setattr("sys.stderr", kept)
    telemetry.configure_logs()
    structlog.get_logger("test").info("said")
    assert "said" in kept.getvalue()
