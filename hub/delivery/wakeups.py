"""Processes wake each other over Redis: what one stored, the holders of its receivers read at once and not at their next look.

A hint and nothing else (N-7, Q-05): no request waits for Redis, nothing is lost with it, and while it is away everything is found
by looking, as it is where there is none. Each process hears its own hints too: one that hears none knows that Redis is away.
"""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ocpi_modules.message import PartyId

SPACE_SECONDS = 0.05
"""What comes within this time of a hint is the next one: however much is stored, nobody looks more often."""
HEARTBEAT_SECONDS = 5.0
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
ANSWER_SECONDS = 1.0
PAUSE_SECONDS = 1.0
_AWAY = (RedisError, OSError, TimeoutError)
_log = structlog.get_logger("hub.delivery")


class Wakeups:
    """One per process. `woken` hears of what others stored; it must not wait."""

    def __init__(self, url: str, hub_party: PartyId, woken: Callable[[], None]) -> None:
        self._url = url
        self._channel = channel(hub_party)
        self._id = uuid4().hex
        self._woken = Spaced(woken)
        self._stored = asyncio.Event()
        self._away: dict[str, str] = {}

    def hint(self) -> None:
        """This process stored something."""
        self._stored.set()

    @property
    def finding(self) -> str | None:
        """What an operator should know, as a sentence."""
        if not self._away:
            return None
        reason = ", ".join(sorted(set(self._away.values())))
        return f"Redis is away ({reason}): what another process stored is delivered a moment later; nothing is lost."

    async def run(self) -> None:
        """Tell and listen for ever."""
        async with (
            Redis.from_url(
                self._url,
                decode_responses=True,
                retry=None,
                socket_connect_timeout=ANSWER_SECONDS,
                socket_keepalive=True,
                socket_timeout=None,  # with one it sends through asyncio.wait_for, which may swallow that we are cancelled
            ) as redis,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._keep("telling", redis, self._tell))
            group.create_task(self._keep("listening", redis, self._listen))

    async def _keep(
        self, what: str, redis: Redis, work: Callable[[Redis, Callable[[], None]], Awaitable[None]]
    ) -> None:
        while True:
            try:
                await work(redis, lambda: self._is_back(what))
            except _AWAY as error:
                self._is_away(what, type(error).__name__)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _tell(self, redis: Redis, worked: Callable[[], None]) -> None:
        while True:
            async with asyncio.timeout(ANSWER_SECONDS):
                await redis.publish(self._channel, self._id)
            worked()
            await asyncio.sleep(SPACE_SECONDS)
            await _set_within(self._stored, HEARTBEAT_SECONDS)
            self._stored.clear()

    async def _listen(self, redis: Redis, worked: Callable[[], None]) -> None:
        async with redis.pubsub(ignore_subscribe_messages=True) as hints:
            async with asyncio.timeout(ANSWER_SECONDS):
                await hints.subscribe(self._channel)
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    message = await hints.get_message(timeout=None)
                if message is None:
                    continue
                worked()
                if message["data"] != self._id:
                    self._woken()

    def _is_away(self, what: str, reason: str) -> None:
        if not self._away:
            _log.warning("redis_away", reason=reason)
        self._away[what] = reason

    def _is_back(self, what: str) -> None:
        if self._away.pop(what, None) and not self._away:
            _log.info("redis_back")


def channel(hub_party: PartyId) -> str:
    """Where the processes of one hub hear each other."""
    return f"ocpi-hub:{hub_party}:stored"


class Spaced:
    """Calls at once; what is asked for within SPACE_SECONDS of that is one more call, at their end."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._resting = self._again = False

    def __call__(self) -> None:
        if self._resting:
            self._again = True
            return
        self._resting = True
        asyncio.get_running_loop().call_later(SPACE_SECONDS, self._rested)
        self._call()

    def _rested(self) -> None:
        self._resting = False
        if self._again:
            self._again = False
            self()


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
