"""Free ports for a whole stage, so that several may stand at once."""

import contextlib
import socket

from hub.demo.stage import Ports


def free_ports() -> Ports:
    """Five ports nobody listens on, taken from the system's own range."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(5)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        hub, admin, adapter, ocpp, emsp = (one.getsockname()[1] for one in sockets)
    return Ports(hub=hub, admin=admin, adapter=adapter, ocpp=ocpp, emsp=emsp)
