"""Free ports for programs that must know theirs before they start, below the range the system gives to outgoing connections."""

import contextlib
import random
import socket

from hub.demo.stage import Ports

LOWEST, HIGHEST = 11_000, 31_000
_random = random.SystemRandom()


def free_port() -> int:
    """A port nobody listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Several at once, all different."""
    with contextlib.ExitStack() as held:
        return [_held(held) for _ in range(count)]


def stage_ports() -> Ports:
    """Those of a whole demo stage, so that several may stand at once."""
    hub, admin, adapter, ocpp, emsp = free_ports(5)
    return Ports(hub=hub, admin=admin, adapter=adapter, ocpp=ocpp, emsp=emsp)


def _held(held: contextlib.ExitStack) -> int:
    for _ in range(200):
        one = socket.socket()
        try:
            one.bind(("127.0.0.1", _random.randint(LOWEST, HIGHEST)))
        except OSError:
            one.close()
            continue
        return int(held.enter_context(one).getsockname()[1])
    raise AssertionError(f"no free port between {LOWEST} and {HIGHEST}")
