"""What happens in the demo, step by step, told as it happens. Everything is seen at the eMSP: what arrived there is the truth."""

import json as stdlib_json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hub.demo import site
from hub.demo.processes import DemoFailed
from hub.demo.screen import Screen
from hub.demo.stage import Stage

STEP_SECONDS = 30
CHARGE_SECONDS = 90
PARKED_SECONDS = 2
"""So long after the charge the driver is back at the car: the parking that is billed can be seen in the CDR."""


class Story:
    """Plays the demo on a stage."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self.stage, self.screen = stage, screen
        self._target = Decimal(stage.charge_wh) / 1000

    def play(self) -> dict[str, Any]:
        """From the handshakes to the CDR; what `--json` prints."""
        self._register()
        self.stage.start_charger()
        self._await("The charger's EVSE at the eMSP", self._evse_is_available)
        self.screen.step(
            "Location and tariff", f"{site.LOCATION_ID} and {site.TARIFF_ID} arrived at DE*EMA, EVSE AVAILABLE"
        )
        self._post("token", {})
        self.screen.step("Token", "pushed to the CPO through the hub")
        earlier = {session["id"] for session in self._state()["sessions"]}
        self._start()
        session = self._charge(earlier)
        self._stop(session["id"])
        cdr = self._await("The CDR at the eMSP", lambda: self._cdr(session["id"]), STEP_SECONDS * 2)
        return self._result(cdr)

    def _register(self) -> None:
        stage = self.stage
        if not stage.joined("adapter", stage.adapter_url):
            self._join_adapter(stage.invite(f"CPO:{site.COUNTRY_CODE}/{site.PARTY_ID}"))
            stage.remember_joined("adapter", stage.adapter_url)
        self.screen.step("CPO registered", f"{site.COUNTRY_CODE}*{site.PARTY_ID} (credentials handshake)")
        if not stage.joined("emsp", stage.emsp_url) or not self._state()["joined"]:
            self._join_emsp(stage.invite("EMSP:DE/EMA"))
            stage.remember_joined("emsp", stage.emsp_url)
        self.screen.step("eMSP registered", "DE*EMA (credentials handshake)")

    def _join_adapter(self, token_a: str) -> None:
        self.stage.join_adapter(token_a)

    def _join_emsp(self, token_a: str) -> None:
        self._post("join", {"versions_url": f"{self.stage.hub_url}/ocpi/versions", "token_a": token_a})

    def _start(self) -> None:
        body = {
            "country_code": site.COUNTRY_CODE,
            "party_id": site.PARTY_ID,
            "location_id": site.LOCATION_ID,
            "evse_uid": site.EVSE_UID,
        }
        before = set(self._state()["results"])
        answer = self._await("An accepted START_SESSION", lambda: self._accepted(body))
        result = self._await("The result of START_SESSION", lambda: self._new_result(before))
        self.screen.step("eMSP: START_SESSION", f"{answer['result']}, the charger says {result['result']}")

    def _charge(self, earlier: set[str]) -> dict[str, Any]:
        session = self._await("The session at the eMSP", lambda: self._new_session(earlier))
        self.screen.step("Session", f"{session['id']} {session['status']}")
        self.screen.begin_energy(self._target)
        try:
            return dict(self._await("The end of the charge", lambda: self._charged(session["id"]), CHARGE_SECONDS))
        finally:
            self.screen.end_energy()

    def _stop(self, session_id: str) -> None:
        time.sleep(PARKED_SECONDS)
        body = {"country_code": site.COUNTRY_CODE, "party_id": site.PARTY_ID, "session_id": session_id}
        answer = self._post("stop", body)
        self.screen.step("eMSP: STOP_SESSION", str(answer["result"]))

    def _result(self, cdr: dict[str, Any]) -> dict[str, Any]:
        cost, currency = cdr["total_cost"], cdr["currency"]
        text = (
            f"{cdr['id']}  {cdr['total_energy']} kWh  {currency} {cost['excl_vat']} ({cost.get('incl_vat')} with VAT)"
        )
        self.screen.step("CDR arrived at DE*EMA", text)
        return {
            "cdr_id": cdr["id"],
            "session_id": cdr["session_id"],
            "received_by": "DE*EMA",
            "kwh": Decimal(cdr["total_energy"]),
            "total_cost": {name: Decimal(value) for name, value in cost.items() if value is not None},
            "currency": currency,
            "seconds": Decimal(str(round(self.screen.seconds, 1))),
        }

    def _evse_is_available(self) -> bool:
        state = self._state()
        locations = [location for location in state["locations"] if location["id"] == site.LOCATION_ID]
        evses = [evse for location in locations for evse in location.get("evses") or []]
        return bool(state["tariffs"]) and any(evse["status"] == "AVAILABLE" for evse in evses)

    def _accepted(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """REJECTED while the charger is still on its way back to the adapter: the driver tries again."""
        answer: dict[str, Any] = self._post("start", body)
        return answer if answer["result"] == "ACCEPTED" else None

    def _new_result(self, earlier: set[str]) -> dict[str, Any] | None:
        return next((result for name, result in self._state()["results"].items() if name not in earlier), None)

    def _new_session(self, earlier: set[str]) -> dict[str, Any] | None:
        return next((one for one in self._state()["sessions"] if one["id"] not in earlier), None)

    def _charged(self, session_id: str) -> dict[str, Any] | None:
        session = next(one for one in self._state()["sessions"] if one["id"] == session_id)
        kwh = Decimal(session["kwh"])
        self.screen.energy(kwh)
        return session if kwh >= self._target else None

    def _cdr(self, session_id: str) -> dict[str, Any] | None:
        return next((one for one in self._state()["cdrs"] if one["session_id"] == session_id), None)

    def _await(self, what: str, look: Callable[[], Any], seconds: float = STEP_SECONDS) -> Any:
        found: list[Any] = []

        def seen() -> bool:
            found[:] = [look()]
            return bool(found[0])

        self.stage.processes.wait_until(what, seen, seconds, of=("hub", "adapter", "emsp"))
        return found[0]

    def _state(self) -> dict[str, Any]:
        return dict(self._call("GET", "state"))

    def _post(self, route: str, body: dict[str, Any]) -> Any:
        return self._call("POST", route, stdlib_json.dumps(body).encode())

    def _call(self, method: str, route: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310
            f"{self.stage.emsp_url}/demo/{route}", body, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=STEP_SECONDS) as response:  # noqa: S310
                return stdlib_json.loads(response.read())
        except urllib.error.HTTPError as error:
            raise DemoFailed(f"The eMSP's {route} failed: {error.read().decode(errors='replace')[:300]}") from None
        except OSError as error:
            raise DemoFailed(f"The eMSP does not answer: {error}.") from None
