"""schemathesis reads openapi/ocpi-2.2.1.json and asks a running hub: every answer conforms to the document, none is a 5xx."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given
from hypothesis import settings as limits

from ocpi_modules import headers as names
from ocpi_modules.message import PartyId
from tests.generated import fuzz
from tests.generated.platforms import Answer, Platform, authorization, said
from tests.generated.strategies import FEW
from tests.support.hub_process import HubProcess
from tests.support.postgres import FreshDatabase

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

DOCUMENT = Path(__file__).parents[2] / "openapi" / "ocpi-2.2.1.json"
EXAMPLES = limits(FEW, max_examples=2, phases=[Phase.generate])
EMSP, CPO = PartyId("DE", "MSP"), PartyId("NL", "CPO")


@dataclass
class PlainPlatform(Platform):
    """Says yes to everything."""

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer | None:
        return said(headers={"Location": f"{self.url}/receiver/cdrs/1"} if method == "POST" else None)


@pytest.fixture
async def asked(tmp_path: Path, hub_database: FreshDatabase) -> AsyncIterator[tuple[HubProcess, list[Platform]]]:
    hub = HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn, HUB_DEFAULT_POLICY="open")
    with hub.serving():
        async with fuzz.registered(hub, 1, PlainPlatform) as platforms:
            yield hub, platforms


async def test_every_answer_conforms_to_the_openapi_document(asked: tuple[HubProcess, list[Platform]]) -> None:
    hub, platforms = asked
    await asyncio.to_thread(ask_everything, hub, platforms)


def ask_everything(hub: HubProcess, platforms: list[Platform]) -> None:
    schema = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_bytes()))
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 40
    for operation in operations:
        if operation.label == "DELETE /ocpi/2.2.1/credentials":
            continue  # it ends the registration all the others need
        ask(operation, hub, platforms)


def ask(operation: Any, hub: HubProcess, platforms: list[Platform]) -> None:
    @EXAMPLES
    @given(case=operation.as_strategy())
    def answered(case: Any) -> None:
        for platform, receiver in ((platforms[0], EMSP), (platforms[1], CPO), (platforms[1], None)):
            sent = {"Authorization": authorization(platform.hub_token)}
            sent |= names.routing_headers(to=receiver, sender=next(iter(platform.parties)))
            case.call_and_validate(base_url=hub.url, headers=sent, checks=CHECKS, timeout=30)

    answered()


CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
    schemathesis.checks.response_headers_conformance,
]
