"""The whole main job by its one command, twice on the same folder: separate processes, real sockets, a real PostgreSQL."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ocpi_modules import json
from ocpi_modules.cdrs.schemas import CDR
from ocpi_modules.validation import findings
from tests.support.ledger import charges

ROOT = Path(__file__).parent.parent.parent

# By hand, for 1.05 kWh and some seconds of parking: FLAT 0.50; 1.1 kWh in steps of 100 Wh at 0.49 = 0.539; one step of
# five minutes at 6.00 an hour = 0.50. Together 1.539, with 21 % VAT 1.86219.
EXCL_VAT = Decimal("1.539")
INCL_VAT = Decimal("1.8622")


def demo(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "hub", "demo", "--once", "--json", "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    return json.decode(done.stdout.strip().splitlines()[-1].encode())


@pytest.mark.timeout(320)
@pytest.mark.rule("C-42", "D-30")
def test_a_charge_becomes_a_cdr_at_the_emsp_twice_on_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a demo of two runs"
    results = [demo(folder), demo(folder)]
    delivered = charges(folder / "charger" / "ledger.jsonl")
    assert [Decimal(charge.wh) / 1000 for charge in delivered if charge.wh] == [result["kwh"] for result in results]
    assert len({result["cdr_id"] for result in results}) == 2
    for result in results:
        assert result["total_cost"] == {"excl_vat": EXCL_VAT, "incl_vat": INCL_VAT}
        assert (result["received_by"], result["currency"]) == ("DE*EMA", "EUR")
        cdr = kept_cdr(folder, result["cdr_id"])
        assert cdr["session_id"] == result["session_id"]
        check(cdr)


def kept_cdr(folder: Path, cdr_id: str) -> dict[str, Any]:
    """The CDR as the eMSP keeps it."""
    kept = [json.decode(path.read_bytes()) for path in (folder / "emsp" / "objects" / "cdrs").glob("*.json")]
    return next(cdr for cdr in kept if cdr["id"] == cdr_id)


def check(cdr: dict[str, Any]) -> None:
    """A CDR is right: every field in place, the parts adding up to the whole."""
    assert findings(CDR, cdr) == []
    volumes = {"ENERGY": Decimal(0), "TIME": Decimal(0), "PARKING_TIME": Decimal(0)}
    for period in cdr["charging_periods"]:
        for dimension in period["dimensions"]:
            volumes[dimension["type"]] += dimension["volume"]
    assert volumes["ENERGY"] == cdr["total_energy"]
    assert volumes["TIME"] + volumes["PARKING_TIME"] == cdr["total_time"]
    assert volumes["PARKING_TIME"] == cdr["total_parking_time"] > 0
    parts = ("total_fixed_cost", "total_energy_cost", "total_time_cost", "total_parking_cost")
    assert sum(cdr[part]["excl_vat"] for part in parts) == cdr["total_cost"]["excl_vat"] == EXCL_VAT
    assert (cdr["auth_method"], cdr["cdr_token"]["uid"]) == ("COMMAND", "DEMODRIVER01")
