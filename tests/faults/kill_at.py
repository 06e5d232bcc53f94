"""Run a program of ours and kill it with SIGKILL at a named point, once.

`python -m tests.faults.kill_at POINT FLAG MODULE ARGUMENTS...` runs MODULE as `python -m` would. The point is a function of the
product and a side of it; when it is reached and the file FLAG does not exist yet, the file is made and the process kills itself.
The product knows nothing of it.
"""

import functools
import importlib
import inspect
import os
import runpy
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Point:
    """`victim` is the process, `where` the dotted function, `before` or after it; `when` looks at its arguments."""

    victim: str
    where: str
    before: bool
    when: Callable[..., bool] = lambda *_, **__: True


def _module_is(name: str) -> Callable[..., bool]:
    """For functions whose arguments hold something with a `module`, or name it themselves."""

    def matches(*arguments: Any, **named: Any) -> bool:
        values = [*arguments, *named.values()]
        return any(value == name or str(getattr(value, "module", "")) == name for value in values)

    return matches


POINTS: dict[str, Point] = {
    "hub: CDR written, journal not committed": Point("hub", "hub.clearing.entries.Entries._write", False),
    "hub: CDR journalled, not forwarded": Point("hub", "hub.clearing.entries.Entries.take", False),
    "hub: CDR answered by the receiver, not recorded": Point("hub", "hub.clearing.journal.CdrJournal.record", True),
    "hub: CDR delivered and recorded, CPO not answered": Point("hub", "hub.clearing.journal.CdrJournal.record", False),
    "hub: session about to be forwarded": Point("hub", "hub.delivery.send.DoorOut.send", True, _module_is("sessions")),
    "hub: session forwarded, CPO not answered": Point(
        "hub", "hub.delivery.send.DoorOut.send", False, _module_is("sessions")
    ),
    "hub: registration stored, partner not answered": Point(
        "hub", "hub.registration.handshake.Registration._store_theirs", False
    ),
    "hub: partner's endpoints read, registration not stored": Point(
        "hub", "hub.registration.handshake.Registration._store_theirs", True
    ),
    "join: token B stored, POST not sent": Point("join", "ocpi_modules.http.handshake.post_credentials", True),
    "join: POST answered, Token C not stored": Point("join", "ocpi_modules.http.handshake.post_credentials", False),
    "adapter: start stored, charger not answered": Point("adapter", "cpo_adapter.facts.StoredFacts.started", False),
    "adapter: stop stored, charger not answered": Point("adapter", "cpo_adapter.facts.StoredFacts.stopped", False),
    "adapter: stop heard, not stored": Point("adapter", "cpo_adapter.facts.StoredFacts.stopped", True),
    "adapter: CDR stored, not sent": Point("adapter", "cpo_adapter.settle.Settler._finish", False),
    "adapter: CDR acknowledged, not noted": Point(
        "adapter", "cpo_adapter.storage.outbox_repository.pushed", True, _module_is("cdrs")
    ),
    "emsp: CDR received, not kept": Point("emsp", "hub.demo.emsp_folder.EmspFolder.keep", True, _module_is("cdrs")),
    "emsp: CDR kept, not acknowledged": Point(
        "emsp", "hub.demo.emsp_folder.EmspFolder.keep", False, _module_is("cdrs")
    ),
    "emsp: session kept, not acknowledged": Point(
        "emsp", "hub.demo.emsp_folder.EmspFolder.keep", False, _module_is("sessions")
    ),
}


def arm(point: Point, flag: Path) -> None:
    """Wrap the function of the point."""
    owner_name, _, function_name = point.where.rpartition(".")
    owner = _resolve(owner_name)
    original = getattr(owner, function_name)

    def reached(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if point.when(*arguments, **named) and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, function_name, _wrapped(original, point.before, reached))


def _wrapped(original: Callable[..., Any], before: bool, reached: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def asynchronous(*arguments: Any, **named: Any) -> Any:
        if before:
            reached(arguments, named)
        result = await original(*arguments, **named)
        if not before:
            reached(arguments, named)
        return result

    @functools.wraps(original)
    def plain(*arguments: Any, **named: Any) -> Any:
        if before:
            reached(arguments, named)
        result = original(*arguments, **named)
        if not before:
            reached(arguments, named)
        return result

    return asynchronous if inspect.iscoroutinefunction(original) else plain


def _resolve(dotted: str) -> Any:
    """A module, or a class in one."""
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        module, _, name = dotted.rpartition(".")
        return getattr(importlib.import_module(module), name)


def main() -> None:
    point, flag, module, *arguments = sys.argv[1:]
    arm(POINTS[point], Path(flag))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
