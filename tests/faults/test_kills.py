"""SIGKILL of hub, adapter and eMSP at named points of the main job, then a restart: one CDR in effect, with the right energy.

Effects are counted in the eMSP's own raw log, energy is compared with the simulated charger's own ledger.
"""

import asyncio
import contextlib
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from hub.demo.processes import DemoFailed, Processes
from hub.demo.screen import Screen
from hub.demo.stage import Stage
from hub.demo.story import Story
from ocpi_modules import json
from tests.faults.kill_at import POINTS
from tests.support.ledger import delivered_kwh
from tests.support.ports import stage_ports


class Supervised(Processes):
    """Runs one child armed to kill itself at a point, and starts it again when it did (a supervisor's part)."""

    def __init__(self, logs: Path, point: str, flag: Path) -> None:
        super().__init__(logs)
        self._point, self._flag = point, flag
        self._ending = threading.Event()
        self.restarts = 0

    def start(self, name: str, command: list[str], environ: Mapping[str, str]) -> None:
        if name != POINTS[self._point].victim:
            super().start(name, command, environ)
            return
        python, dash_m, module, *arguments = command
        assert dash_m == "-m"
        armed = [python, "-m", "tests.faults.kill_at", self._point, str(self._flag), module, *arguments]
        super().start(name, armed, environ)
        threading.Thread(target=self._supervise, args=(name, command, environ), daemon=True).start()

    def _supervise(self, name: str, command: list[str], environ: Mapping[str, str]) -> None:
        child: subprocess.Popen[bytes] = self._children[name]
        child.wait()
        if not self._ending.is_set() and self._flag.exists():
            self.restarts += 1
            super().start(name, command, environ)

    def run(self, name: str, command: list[str], environ: Mapping[str, str], **options: Any) -> str:
        if POINTS[self._point].victim != "join" or name != "The adapter's registration" or self._flag.exists():
            return super().run(name, command, environ, **options)
        python, _, module, *arguments = command
        self.restarts += 1
        return super().run(
            name,
            [python, "-m", "tests.faults.kill_at", self._point, str(self._flag), module, *arguments],
            environ,
            **options,
        )

    def _refuse_dead(self, name: str) -> None:
        if name != POINTS[self._point].victim:
            super()._refuse_dead(name)

    def stop(self) -> None:
        self._ending.set()
        super().stop()


class PatientStory(Story):
    """The demo's story by somebody who waits until a program is back, and repeats a handshake with the same Token A."""

    def _start(self) -> None:
        """The eMSP may die while it waits for the answer to its command; the charge began all the same."""
        try:
            Story._start(self)
        except DemoFailed:
            self.stage.processes.wait_until("A session after a kill", lambda: self._state()["sessions"], 60)

    def _stop(self, session_id: str) -> None:
        self._repeat(lambda: Story._stop(self, session_id))

    def _join_adapter(self, token_a: str) -> None:
        self._repeat(lambda: Story._join_adapter(self, token_a))

    def _join_emsp(self, token_a: str) -> None:
        self._repeat(lambda: Story._join_emsp(self, token_a))

    def _repeat(self, step: Callable[[], None]) -> None:
        def done() -> bool:
            try:
                step()
            except DemoFailed:
                return False
            return True

        self.stage.processes.wait_until("A step after a kill", done, 60)

    def _state(self) -> dict[str, Any]:
        states: list[dict[str, Any]] = []

        def answered() -> bool:
            with contextlib.suppress(DemoFailed):
                states.append(Story._state(self))
            return bool(states)

        self.stage.processes.wait_until("The return of the eMSP", answered, 30)
        return states[0]


@pytest.fixture
def quiet() -> Screen:
    return Screen(quiet_output=True)


@pytest.mark.timeout(
    600
)  # ends a test that hangs; a dozen programs start in it, each a second of CPU, before anything is killed
@pytest.mark.rule("Q-03", "F-01", "F-03", "D-22")
@pytest.mark.parametrize("point", POINTS)
def test_one_cdr_in_effect_after_a_kill(point: str, tmp_path: Path, quiet: Screen) -> None:
    processes = Supervised(tmp_path / "logs", point, tmp_path / "killed")
    with Stage(tmp_path, stage_ports(), processes, quiet, charge_wh=150) as stage:
        result = PatientStory(stage, quiet).play()
        processes.wait_until("The kill and the restart", lambda: processes.restarts == 1, 30)
        processes.wait_until("The CDR's acknowledgement at the CPO", lambda: cdr_acknowledged(stage), 90)
    assert cdr_effects(tmp_path / "emsp") == [result["cdr_id"]]
    assert result["kwh"] == delivered_kwh(tmp_path / "charger" / "ledger.jsonl")


def cdr_acknowledged(stage: Stage) -> bool:
    """Whether the adapter, the CPO, heard that its one CDR was taken."""

    async def ask() -> bool:
        connection = await asyncpg.connect(stage.adapter_environment()["ADAPTER_DATABASE_URL"], timeout=5)
        try:
            rows = await connection.fetch(
                "SELECT wanted IS NOT DISTINCT FROM sent AS done FROM push WHERE module = 'cdrs'"
            )
        finally:
            await connection.close()
        return [row["done"] for row in rows] == [True]

    return asyncio.run(ask())


def cdr_effects(emsp: Path) -> list[str]:
    """The ids of the CDRs that had an effect, by the eMSP's raw log and by what it keeps."""
    kept = {json.decode(path.read_bytes())["id"] for path in (emsp / "objects" / "cdrs").glob("*.json")}
    lines = [json.decode(line) for line in (emsp / "raw.jsonl").read_bytes().splitlines()]
    posted = [line for line in lines if (line["module"], line["method"]) == ("cdrs", "POST")]
    assert len({line["body"] for line in posted}) == 1, "the same CDR was sent with different content"
    assert sum(line["effect"] for line in posted) <= 1
    assert {json.decode(line["body"].encode())["id"] for line in posted} == kept
    return sorted(kept)
