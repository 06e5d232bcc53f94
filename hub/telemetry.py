"""What the hub says to its operator: structured log lines, pretty on a terminal, JSON otherwise (U-17)."""

import io
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

_SECRET = re.compile(r"\b(hub[ABC]_|Token )[A-Za-z0-9+/=_-]+")


def configure_logs() -> None:
    """Log to standard error; the last step takes tokens out of every line (S-07)."""
    renderer: Any = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=LogOutput(sys.stderr),
        cache_logger_on_first_use=True,
    )


class LogOutput:
    """Writes lines to a stream. What cannot be written, as on a full disk, is dropped and counted: serving goes on (F-13)."""

    def __init__(self, stream: TextIO) -> None:
        self.dropped = 0
        self._stream = stream
        try:
            self._raw: io.FileIO | None = io.FileIO(stream.fileno(), "w", closefd=False)
        except OSError:  # with it io.UnsupportedOperation: not a file, as in a test
            self._raw = None

    def __call__(self, *_: Any) -> "LogOutput":
        """The factory is its one logger."""
        return self

    def msg(self, message: str) -> None:
        """One line. Nothing is buffered, so that a line that failed does not wait in front of the next."""
        try:
            if self._raw is None:
                self._stream.write(f"{message}\n")
                return
            line = f"{message}\n".encode(errors="backslashreplace")
            self.dropped += self._raw.write(line) != len(line)
        except OSError:
            self.dropped += 1

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


def dropped_lines() -> int:
    """How many lines this process could not write since it began."""
    return int(getattr(structlog.get_config()["logger_factory"], "dropped", 0))


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _SECRET.sub(r"\1[redacted]", value)
    return event
