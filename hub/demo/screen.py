"""What a person sees of the demo: a line a step with its time, and a bar while energy flows."""

import time
from decimal import Decimal

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn


class Screen:
    """Writes to standard error with `quiet_output`, so that standard output holds nothing but the result."""

    def __init__(self, *, quiet_output: bool) -> None:
        self.console = Console(stderr=quiet_output, highlight=False)
        self._began = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def step(self, title: str, text: str) -> None:
        minutes, seconds = divmod(int(self.seconds), 60)
        dots = "." * max(2, 38 - len(title))
        self.console.print(f" [dim]\\[{minutes}:{seconds:02d}][/dim] {title} [dim]{dots}[/dim] {text}", soft_wrap=True)

    def plain(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def begin_energy(self, target: Decimal) -> None:
        self._bar = Progress(
            TextColumn("        Charging"),
            BarColumn(40),
            TextColumn("{task.fields[kwh]} kWh"),
            console=self.console,
            transient=False,
        )
        self._task = self._bar.add_task("energy", total=float(target), kwh="0")
        self._bar.start()

    def energy(self, kwh: Decimal) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=float(kwh), kwh=f"{kwh:.3f}")

    def end_energy(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
