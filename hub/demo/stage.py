"""What stands on the demo's stage: database, hub, adapter, sample eMSP, charger, and how they come to know each other."""

import base64
import contextlib
import secrets
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hub.db.embedded import EmbeddedPostgres
from hub.demo import site
from hub.demo.emsp_folder import EmspFolder
from hub.demo.processes import DemoFailed, Processes, answers, environment
from hub.demo.screen import Screen
from ocpi_modules import json

HOST = "127.0.0.1"
HUB_PARTY = ("NL", "HUB")
START_SECONDS = 30


@dataclass(frozen=True)
class Ports:
    """Where each program listens on the loopback address."""

    hub: int
    admin: int
    adapter: int
    ocpp: int
    emsp: int


class Stage:
    """Puts everything up on entering and takes it down on leaving."""

    def __init__(
        self, folder: Path, ports: Ports, processes: Processes, screen: Screen, charge_wh: int = site.CHARGE_WH
    ) -> None:
        self.folder, self.ports, self.processes, self.screen = folder, ports, processes, screen
        self.charge_wh = charge_wh
        self.hub_url = f"http://{HOST}:{ports.hub}"
        self.admin_url = f"http://{HOST}:{ports.admin}"
        self.adapter_url = f"http://{HOST}:{ports.adapter}"
        self.emsp_url = f"http://{HOST}:{ports.emsp}"
        self._memory = EmspFolder(folder / "stage")
        self._postgres: EmbeddedPostgres | None = None

    def __enter__(self) -> Self:
        try:
            self._put_up()
        except BaseException:
            self._take_down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._take_down()

    def _put_up(self) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        self._start_database()
        self._start_hub()
        self._start_adapter()
        self._start_emsp()

    def _take_down(self) -> None:
        self.processes.stop()
        if self._postgres is not None:
            self._postgres.close()
            self._postgres = None

    def wait_for_ctrl_c(self) -> None:
        """Until somebody interrupts us."""
        with contextlib.suppress(AttributeError):
            while True:
                signal.pause()

    def _start_database(self) -> None:
        self._postgres = EmbeddedPostgres.open(self.folder / "postgres")
        self._postgres.ensure_database("adapter", "ocpi_adapter_app")
        self.screen.step("Embedded PostgreSQL", "ready")

    def _start_hub(self) -> None:
        self.processes.start("hub", [sys.executable, "-m", "hub", "serve"], self.hub_environment())
        ready = f"{self.admin_url}/readyz"
        self.processes.wait_until("The start of the hub", lambda: answers(ready), START_SECONDS, of=("hub",))
        self.screen.step("Hub", f"{self.hub_url}/ocpi/versions")

    def _start_adapter(self) -> None:
        environ = self.adapter_environment()
        command = [sys.executable, "-m", "cpo_adapter"]
        self.processes.run("The adapter's migration", [*command, "migrate"], environ)
        add = [*command, "charger", "add", site.CHARGER_ID, "--password-stdin"]
        self.processes.run("Adding the charger", add, environ, given=self.charger_password + "\n")
        self.processes.start("adapter", [*command, "serve"], environ)
        ready = f"{self.adapter_url}/readyz"
        self.processes.wait_until("The start of the adapter", lambda: answers(ready), START_SECONDS, of=("adapter",))
        self.screen.step("CPO adapter", f"OCPP 1.6 on ws://{HOST}:{self.ports.ocpp}/ocpp/<charger id>")

    def _start_emsp(self) -> None:
        module = ["-m", "hub.demo.sample_emsp", "--folder", str(self.folder / "emsp"), "--port", str(self.ports.emsp)]
        self.processes.start("emsp", [sys.executable, *module], environment())
        ready = f"{self.emsp_url}/demo/state"
        self.processes.wait_until("The start of the eMSP", lambda: answers(ready), START_SECONDS, of=("emsp",))
        self.screen.step("Sample eMSP", self.emsp_url)

    def start_charger(self) -> None:
        """The simulated charger, a process with its own OCPP client and ledger."""
        command = [sys.executable, "-m", "cpo_adapter", "simulate", "--charger-id", site.CHARGER_ID]
        command += ["--url", f"ws://{HOST}:{self.ports.ocpp}/ocpp", "--password-file", str(self._password_file())]
        command += [
            "--charge-wh",
            str(self.charge_wh),
            "--parking-seconds",
            "60",
            "--ledger",
            str(self.folder / "charger" / "ledger.jsonl"),
            "--state",
            str(self.folder / "charger"),
        ]
        self.processes.start("charger", command, environment())

    def invite(self, role_and_party: str) -> str:
        """A fresh Token A for "CPO:NL/SIM"; a registration under earlier addresses is ended first."""
        command = [sys.executable, "-m", "hub"]
        environ = self.hub_environment()
        asking = [*command, "invite", "--party", role_and_party, "--json"]
        try:
            printed = self.processes.run("The invitation", asking, environ)
        except DemoFailed as refused:
            if "unregister" not in str(refused):
                raise
            party = role_and_party.partition(":")[2]
            self.processes.run("Unregistering", [*command, "platform", "unregister", "--party", party], environ)
            printed = self.processes.run("The invitation", asking, environ)
        return str(json.decode(printed.strip().splitlines()[-1].encode())["token_a"])

    def joined(self, who: str, url: str) -> bool:
        """Whether this party registered with this hub under these very addresses before."""
        known = self._memory.read(f"joined-{who}") or {}
        return bool(known == {"hub": self.hub_url, "own": url})

    def remember_joined(self, who: str, url: str) -> None:
        self._memory.write(f"joined-{who}", {"hub": self.hub_url, "own": url})

    def join_adapter(self, token_a: str) -> None:
        """The adapter registers with the hub; may be repeated with the same token."""
        command = [sys.executable, "-m", "cpo_adapter", "join", "--token-a-stdin"]
        command += ["--versions-url", f"{self.hub_url}/ocpi/versions"]
        self.processes.run("The adapter's registration", command, self.adapter_environment(), given=token_a + "\n")

    def hub_environment(self) -> dict[str, str]:
        return environment(
            HUB_PORT=str(self.ports.hub),
            HUB_ADMIN_PORT=str(self.ports.admin),
            HUB_COUNTRY_CODE=HUB_PARTY[0],
            HUB_PARTY_ID=HUB_PARTY[1],
            HUB_DATABASE_URL=f"embedded:{self.folder / 'postgres'}",
            HUB_ALLOW_INSECURE="true",
            HUB_DEFAULT_POLICY="open",
        )

    def adapter_environment(self) -> dict[str, str]:
        assert self._postgres is not None
        config = self.folder / "adapter" / "config.json"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_bytes(json.encode(site.adapter_config()))
        return environment(
            ADAPTER_OCPI_PORT=str(self.ports.adapter),
            ADAPTER_OCPP_PORT=str(self.ports.ocpp),
            ADAPTER_COUNTRY_CODE=site.COUNTRY_CODE,
            ADAPTER_PARTY_ID=site.PARTY_ID,
            ADAPTER_DATABASE_URL=self._postgres.app_dsn("adapter"),
            ADAPTER_DATABASE_MIGRATE_URL=self._postgres.owner_dsn("adapter"),
            ADAPTER_SECRET_KEY=self._secret("adapter"),
            ADAPTER_ALLOW_INSECURE="true",
            ADAPTER_CONFIG=str(config),
        )

    @property
    def charger_password(self) -> str:
        return self._secret("charger").replace("+", "A").replace("/", "B").replace("=", "")[:20]

    def _password_file(self) -> Path:
        file = self.folder / "charger" / "password"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(self.charger_password)
        return file

    def _secret(self, name: str) -> str:
        """32 bytes in Base64, made once a folder."""
        kept = self._memory.read(f"secret-{name}")
        if kept is None:
            kept = base64.b64encode(secrets.token_bytes(32)).decode()
            self._memory.write(f"secret-{name}", kept)
        return str(kept)
