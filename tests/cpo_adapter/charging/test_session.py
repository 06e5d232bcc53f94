from decimal import Decimal

from cpo_adapter.charging.cdr import to_cdr
from cpo_adapter.charging.session import Change, session_changes, to_session
from tests.cpo_adapter.charging.examples import PARTY, UPDATED, register, sampled, started, stopped, transaction


def test_a_session_grows_and_completes() -> None:
    begun = transaction(started(1000))
    running = transaction(started(1000), sampled(register(15, 3000)))
    done = transaction(started(1000), sampled(register(15, 3000)), stopped(60, 9000))
    sessions = [to_session(each, PARTY, UPDATED) for each in (begun, running, done)]
    assert [s["status"] for s in sessions] == ["PENDING", "ACTIVE", "COMPLETED"]
    assert [s["kwh"] for s in sessions] == [0, 2, 8]
    assert sessions[2]["total_cost"] == {"excl_vat": Decimal(2)}
    assert isinstance(session_changes(sessions[0], {**sessions[0], "kwh": Decimal(1)}), Change)


def test_a_cdr_has_the_numbers_of_its_session() -> None:
    cdr = to_cdr(transaction(started(1000), stopped(60, 9000)), "CDR1", PARTY, UPDATED)
    assert (cdr["total_energy"], cdr["total_time"], cdr["total_cost"]) == (8, 1, {"excl_vat": Decimal(2)})
