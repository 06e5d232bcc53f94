"""What a simulated charger knows it delivered, to compare with what others made of it (contracts 10)."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass
class Charge:
    """One line of the ledger: instants and Wh as the meter had them; `transaction_id` once the start was answered."""

    number: int
    charger_id: str
    connector_id: int
    id_tag: str
    started_at: datetime
    meter_start: int
    transaction_id: int | None = None
    stopped_at: datetime | None = None
    meter_stop: int | None = None
    reason: str | None = None

    @property
    def wh(self) -> int | None:
        """Delivered energy in Wh; None while it charges."""
        return None if self.meter_stop is None else self.meter_stop - self.meter_start


class Ledger:
    """Charges in the order they began; with a `path` every change is appended to it as a line of JSON, read again at start."""

    def __init__(self, path: Path | None = None) -> None:
        self.charges: list[Charge] = []
        self._path = path
        if path is not None and path.exists():
            self._replay(path)

    def begin(self, charge: Charge) -> None:
        self.charges.append(charge)
        self._write("started", charge, "charger_id", "connector_id", "id_tag", "started_at", "meter_start")

    def number(self, charge: Charge, transaction_id: int) -> None:
        """The answer to the start came; a repeated start that got another number would show here."""
        charge.transaction_id = transaction_id
        self._write("numbered", charge, "transaction_id")

    def end(self, charge: Charge, stopped_at: datetime, meter_stop: int, reason: str) -> None:
        charge.stopped_at, charge.meter_stop, charge.reason = stopped_at, meter_stop, reason
        self._write("stopped", charge, "stopped_at", "meter_stop", "reason")

    def find(self, number: int) -> Charge:
        return next(charge for charge in self.charges if charge.number == number)

    def next_number(self) -> int:
        return max((charge.number for charge in self.charges), default=0) + 1

    def _write(self, event: str, charge: Charge, *names: str) -> None:
        if self._path is None:
            return
        line: dict[str, Any] = {"event": event, "number": charge.number}
        for name in names:
            value = getattr(charge, name)
            line[name] = value.isoformat() if isinstance(value, datetime) else value
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _replay(self, path: Path) -> None:
        for text in path.read_text().splitlines():
            line = json.loads(text)
            event, number = line.pop("event"), line["number"]
            for name in ("started_at", "stopped_at"):
                if name in line:
                    line[name] = datetime.fromisoformat(line[name])
            if event == "started":
                self.charges.append(Charge(**line))
            else:
                vars(self.find(number)).update(line)
