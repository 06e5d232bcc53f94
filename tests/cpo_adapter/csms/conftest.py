"""A listener on a free port of loopback, with facts that are recorded."""

from collections.abc import AsyncIterator

import pytest

from cpo_adapter.csms.rpc import Limits
from cpo_adapter.csms.socket import Listener, ListenerSettings
from tests.cpo_adapter.csms.recorder import Recorder, now

QUICK = ListenerSettings(
    port=0, close_seconds=0.5, limits=Limits(drain_seconds=1, answer_seconds=2, silence_seconds=0.2)
)


@pytest.fixture
def facts() -> Recorder:
    return Recorder()


@pytest.fixture
async def listener(facts: Recorder) -> AsyncIterator[Listener]:
    async with Listener(facts, now, QUICK) as listener:
        yield listener
