"""docker/: no engine is needed to see that its files speak of the same ports, commands and variables as the programs."""

import re
from pathlib import Path

import pytest
import yaml

from cpo_adapter.settings import Settings as AdapterSettings
from hub.serve import DRAIN_SECONDS
from hub.settings import Settings as HubSettings

DOCKER = Path(__file__).parent.parent / "docker"
FIELDS = {"HUB_": HubSettings.model_fields, "ADAPTER_": AdapterSettings.model_fields}
NOT_SETTINGS = {"HUB_APP_PASSWORD", "ADAPTER_APP_PASSWORD"}


def compose() -> dict:
    return yaml.safe_load((DOCKER / "compose.yaml").read_text())


def test_every_variable_is_a_setting_of_its_program() -> None:
    names = set()
    for file in ("Dockerfile", "compose.yaml", "env.example"):
        names |= set(re.findall(r"\b(?:HUB|ADAPTER)_[A-Z_]+\b", (DOCKER / file).read_text()))
    assert names
    for name in names - NOT_SETTINGS:
        prefix = name.split("_")[0] + "_"
        assert name.removeprefix(prefix).lower() in FIELDS[prefix], name


def test_every_variable_compose_asks_for_stands_in_the_example() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)\}", (DOCKER / "compose.yaml").read_text()))
    given = set(re.findall(r"^([A-Z_]+)=", (DOCKER / "env.example").read_text(), re.MULTILINE))
    assert asked == given


def test_ports_are_the_defaults_of_the_settings() -> None:
    exposed = set(re.findall(r"\d+", " ".join(re.findall(r"^EXPOSE (.*)$", (DOCKER / "Dockerfile").read_text(), re.M))))
    defaults = {
        str(HubSettings.model_fields["port"].default),
        str(HubSettings.model_fields["admin_port"].default),
        str(AdapterSettings.model_fields["ocpi_port"].default),
        str(AdapterSettings.model_fields["ocpp_port"].default),
    }
    published = {port.split(":")[-1] for service in compose()["services"].values() for port in service.get("ports", [])}
    assert exposed == defaults == published


@pytest.mark.promise("Q-15")
def test_what_serves_comes_back_by_itself_and_no_log_grows_without_end() -> None:
    for name, service in compose()["services"].items():
        assert service["restart"] == ("on-failure" if name.endswith("-migrate") else "unless-stopped"), name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        assert name.endswith("-migrate") or int(service["stop_grace_period"].removesuffix("s")) > DRAIN_SECONDS


def test_targets_commands_and_users() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    assert {"hub", "cpo_adapter"} <= set(re.findall(r"AS (\w+)$", text, re.MULTILINE))
    assert re.search(r"^USER (?!0|root)", text, re.MULTILINE)
    services = compose()["services"]
    assert {"postgres", "redis", "hub", "adapter"} <= set(services)
    targets = {service["build"]["target"] for service in services.values() if "build" in service}
    assert targets == {"hub", "cpo_adapter"}


def test_the_programs_know_the_commands_of_the_images() -> None:
    from typer.main import get_command

    from cpo_adapter.__main__ import cli as adapter
    from hub.__main__ import app as hub

    assert {"serve", "migrate"} <= set(get_command(hub).commands) & set(get_command(adapter).commands)
