"""Faults of receivers and of the way to them: the network, their names, their certificates, their answers; coming and going."""

import asyncio
import signal
import ssl
import time
import warnings
from pathlib import Path

from tests.faults.world import TRUSTED, World, eventually
from tests.support.certificates import Authority, Certificate
from tests.support.faultproxy import Mode
from tests.support.party import Scripted

HOST = "receiver.example"
NETWORK = tuple(mode for mode in Mode if mode is not Mode.PASS)


async def network_faults(world: World, times: int) -> None:
    """F-15 to F-19: everything a network does to the way to one receiver; the other gets its pushes all the while."""
    for number in range(times):
        await world.proxy.change(NETWORK[number % len(NETWORK)])
        await _others_are_served(world, str(world.proxy.mode))
        await asyncio.sleep(1.5)
        await world.proxy.change(Mode.PASS)
        await world.call_in(world.emsp)


async def names(world: World, times: int) -> None:
    """F-26, S-23: the name of a receiver fails, answers too late, leads to an address nobody may be sent to."""
    _say(world, "127.0.0.1")
    proxy = await world.join("NSP", "FR/NAM", HOST)
    for said in ("fails", "slow", "169.254.169.254", "0.0.0.0")[:times]:
        _say(world, said)
        await asyncio.sleep(1.0)  # whoever looked the name up before is there by now
        proxy.cut()
        reached = proxy.reached
        await _others_are_served(world, f"the name says {said}")
        await asyncio.sleep(1.5)
        assert proxy.reached == reached, f"the receiver was reached although its name says {said}"
        _say(world, "127.0.0.1")
        await world.call_in(world.more[-1])
        await eventually(lambda reached=reached: proxy.reached > reached, what="a connection to the name")  # type: ignore[misc]


def _say(world: World, answer: str) -> None:
    for hub in world.hubs:
        hub.names(**{HOST: answer})


async def certificates(world: World, times: int) -> None:
    """F-27: a receiver's certificate is not to be trusted, or TLS does not come about: nothing is sent, also not without TLS."""
    good, bad = _contexts(world.folder)
    await _trust(world)
    _say(world, "127.0.0.1")
    proxy = await world.join("NSP", "FR/TLS", HOST, good)
    witness = world.witness(world.more[-1])
    await eventually(lambda: witness.pushes, what="a push over TLS")
    for name, (context, words) in list(bad.items())[:times]:
        before = [len(hub.words(ever=True)) for hub in world.hubs]
        proxy.certificate = context
        await proxy.change(Mode.HALF_CLOSE if context is None else Mode.PASS)
        reached = proxy.reached
        await _others_are_served(world, f"the certificate is {name}")
        await _operator_reads(world, words, before)
        assert context is None or proxy.reached == reached, f"TLS was agreed on although the certificate is {name}"
        heard = witness.pushes
        proxy.certificate = good
        await proxy.change(Mode.PASS)
        await world.call_in(world.more[-1])
        await eventually(lambda heard=heard: witness.pushes > heard, what="a push over TLS")  # type: ignore[misc]


async def _operator_reads(world: World, words: str, before: list[int]) -> None:
    """Until a hub's log gives the reason; the row of the destination has none while its platform is OFFLINE."""
    await eventually(
        lambda: any(words in hub.words(ever=True)[since:] for hub, since in zip(world.hubs, before, strict=True)),
        what=f"the reason {words!r} in the log",
    )


async def _trust(world: World) -> None:
    """Processes read whom they trust when they start."""
    for hub in world.hubs:
        hub.tell(signal.SIGTERM)
        await world.restart(hub)


def _contexts(folder: Path) -> tuple[ssl.SSLContext, dict[str, tuple[ssl.SSLContext | None, str]]]:
    """A good one; and bad ones by name, each with words of the reason an operator is to read."""
    ours, strange = Authority(folder), Authority(folder, "somebody")
    ours.file.rename(folder / TRUSTED)
    old = _context(ours.certify(HOST))
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    return _context(ours.certify(HOST)), {
        "expired": (_context(ours.certify(HOST, days=-1)), "expired"),
        "of another host": (_context(ours.certify("other.example")), "Hostname mismatch"),
        "of another authority": (_context(strange.certify(HOST, days=2)), "local issuer"),
        "of TLS 1.1": (old, "it was closed"),
        "cut short": (None, "connection to"),
    }


def _context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


async def bad_answers(world: World, times: int) -> None:
    """F-21 to F-23: giant, empty, foreign and contradictory answers of one receiver."""
    answers = [
        Scripted(raw=b"x" * 30_000_000),
        Scripted(raw=b"<html>busy</html>"),
        Scripted(raw=b""),
        Scripted(http_status=500),
        Scripted(status_code=3000),
        Scripted(http_status=429, status_code=2000, headers={"Retry-After": "86400"}),
        Scripted(http_status=302, headers={"Location": "http://169.254.169.254/"}),
        Scripted(http_status=401, status_code=2001),
    ]
    pushes = [(method, module) for module in ("locations", "tariffs") for method in ("PUT", "PATCH", "DELETE")]
    for number in range(times):
        for method, module in (*pushes, ("POST", "cdrs")):
            world.emsp.script(method, module, answers[number % len(answers)])
        await asyncio.sleep(1.0)
        for method, module in (*pushes, ("POST", "cdrs")):
            world.emsp.unscript(method, module)
        await world.call_in(world.emsp)


async def flapping(world: World, times: int) -> None:
    """F-24: a receiver that comes and goes."""
    for _ in range(times):
        await world.proxy.change(Mode.DROP_NEW)
        await asyncio.sleep(1.0)
        await world.proxy.change(Mode.PASS)
        await world.call_in(world.emsp)
        await asyncio.sleep(1.0)


async def many_return(world: World, times: int) -> None:
    """F-25: receivers that were away come back at once; who pushes meanwhile is served as ever."""
    proxies = [await world.join("NSP", f"FR/{number:03}") for number in range(times)]
    for proxy in proxies:
        proxy.mode = Mode.DROP_NEW
        proxy.cut()
    away = [witness.pushes for witness in map(world.witness, world.more)]
    await asyncio.sleep(4)
    slowest, world.history.slowest = world.history.slowest, 0.0
    for proxy in proxies:
        proxy.mode = Mode.PASS
    began = time.monotonic()
    await asyncio.gather(*(world.call_in(partner) for partner in world.more))
    await eventually(
        lambda: all(world.witness(partner).pushes > had for partner, had in zip(world.more, away, strict=True)),
        90,
        "a push to all",
    )
    world.notes |= {"receivers": times, "seconds_until_all_had_one": round(time.monotonic() - began, 1)}
    world.notes["slowest_answer_meanwhile"] = round(world.history.slowest, 2)
    world.history.slowest = max(slowest, world.history.slowest)


async def _others_are_served(world: World, what: str) -> None:
    other = world.witness(world.nsp)
    before = other.pushes
    await eventually(lambda: other.pushes > before + 5, what=f"the delivery to the other receiver while {what}")
