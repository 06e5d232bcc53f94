"""`ocpi-hub key`: a new secret key for a hub that serves, from the first restart to the day the former key is gone (S-03)."""

import asyncio
import base64
from pathlib import Path

import pytest

from tests.hub.test_failover import arrived, push
from tests.support.hub_process import PATIENCE_SECONDS, SECRET_KEY, HubProcess
from tests.support.party import Party
from tests.support.postgres import FreshDatabase

NEW_KEY = base64.b64encode(b"n" * 32).decode()
BOTH = {"HUB_SECRET_KEY": NEW_KEY, "HUB_SECRET_KEY_PREVIOUS": SECRET_KEY}


async def asks(party: Party) -> bool:
    return (await party.send("GET", "locations", "SENDER")).http_status == 200


async def until_it_moved(hub: HubProcess, party: Party, left: int) -> None:
    """Calls until that many tokens hang on the former key."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await asks(party) and hub.json("key", "show")["issued_tokens_under_previous"] != left:
            pass


@pytest.mark.promise("S-03", "U-21")
async def test_a_secret_key_is_changed_while_partners_go_on(hub_database: FreshDatabase, tmp_path: Path) -> None:
    hub = HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn, HUB_DEFAULT_POLICY="open")
    async with Party.running(("CPO", "NL/ABC")) as cpo, Party.running(("EMSP", "DE/XYZ")) as emsp:
        with hub.serving():
            await cpo.register(hub.versions_url, hub.invite("CPO:NL/ABC"))
            await emsp.register(hub.versions_url, hub.invite("EMSP:DE/XYZ"))
            await push(cpo, hub, "L0")
            assert await asks(emsp)
            early = hub.run("key", "rotate", **BOTH)
            assert (early.returncode, "has not got this key" in early.stderr) == (1, True)
        hub.log.unlink()
        hub.environ |= BOTH
        with hub.serving():
            await push(cpo, hub, "L1")
            done = hub.json("key", "rotate")
            assert (done["sealed_anew"], done["outgoing_tokens_under_previous"]) == (2, 0)
            await until_it_moved(hub, cpo, 1)
            shown = hub.run("key", "show").stdout
            assert "Under the former key are 1 tokens we gave out, of 1 platforms" in shown
            assert "uids in traces from before the change" in shown
            await until_it_moved(hub, emsp, 0)
            told = shown + hub.run("key", "show").stdout
            assert "Nothing hangs on the former key: remove HUB_SECRET_KEY_PREVIOUS" in told
            assert not any(word in told for word in (NEW_KEY, SECRET_KEY, cpo.hub_token, "hubC_"))
        hub.log.unlink()
        del hub.environ["HUB_SECRET_KEY_PREVIOUS"]
        with hub.serving():
            await push(cpo, hub, "L2")
            await arrived(emsp, {"L0", "L1", "L2"})
            assert await asks(emsp)
