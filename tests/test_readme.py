"""README names only commands, make targets, settings and rooms that exist."""

import re
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command

from cpo_adapter.__main__ import cli as adapter
from cpo_adapter.settings import Settings as AdapterSettings
from hub.__main__ import app as hub
from hub.parties.switches import TABLE
from hub.settings import Settings as HubSettings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def commands(program: object) -> set[str]:
    """Every command of a program, with those of its groups as "group command"."""
    group = get_command(program)  # type: ignore[arg-type]
    names = set()
    for name, command in group.commands.items():
        names.add(name)
        if isinstance(command, TyperGroup):
            names |= {f"{name} {sub}" for sub in command.commands}
    return names


def told(program: str) -> set[str]:
    """What README says of a program: "serve", and "platform list" for `platform list\\|set`."""
    found = set()
    for text in re.findall(rf"`{program} ([^`]+)`", README):
        words = text.replace("\\|", "|").split()
        subs = words[1].split("|") if len(words) > 1 and re.fullmatch(r"[a-z|]+", words[1]) else []
        found |= {f"{words[0]} {sub}" for sub in subs} or {words[0]}
    return found


def test_every_command_exists() -> None:
    assert {"serve", "migrate", "invite", "doctor"} <= told("ocpi-hub") <= commands(hub)
    assert {"serve", "migrate", "join", "simulate"} <= told("cpo-adapter") <= commands(adapter)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= set(re.findall(r"make ([a-z-]+)", README)) <= targets


def test_every_setting_exists_and_every_setting_is_told() -> None:
    hub_names = {f"HUB_{name.upper()}" for name in HubSettings.model_fields}
    adapter_names = {f"ADAPTER_{name.upper()}" for name in AdapterSettings.model_fields}
    assert set(re.findall(r"`(HUB_[A-Z_]+)`", README)) == hub_names
    assert set(re.findall(r"`(ADAPTER_[A-Z_]+)`", README)) <= adapter_names
    others = set(re.findall(r"`([A-Z_]+)`", README.partition("The other `ADAPTER_*`")[2]))
    named = {f"ADAPTER_{name}" for name in others} | set(re.findall(r"`(ADAPTER_[A-Z_]+)`", README))
    assert adapter_names <= named


def test_every_switch_of_a_platform_is_told_as_the_table_has_it() -> None:
    told_rows = re.findall(r"^\| `([a-z_]+)` \| (.+) \| (.+) \|$", README.partition("## Switches")[2], re.MULTILINE)
    rows = [(switch.name, switch.values.words, switch.meaning) for switch in TABLE]
    assert [(name, words.replace("\\|", "|"), meaning) for name, words, meaning in told_rows] == rows


def test_every_room_exists() -> None:
    rooms = re.findall(r"`((?:hub|ocpi_modules|cpo_adapter|tests|docker)/[a-z_/.0-9]*)`", README)
    assert len(rooms) > 15
    assert [room for room in rooms if not (ROOT / room).exists()] == []
