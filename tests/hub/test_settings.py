"""Settings: every HUB_* variable is checked at the start, and each refusal names the variable and the way out."""

import base64
from pathlib import Path

import pytest

from hub.settings import SettingsError, load
from ocpi_modules.message import PartyId

KEY = base64.b64encode(b"k" * 32).decode()
GOOD = {
    "HUB_COUNTRY_CODE": "nl",
    "HUB_PARTY_ID": "HUB",
    "HUB_DATABASE_URL": "postgresql://hub:pass-word@db/hub",
    "HUB_SECRET_KEY": KEY,
}
PROD = GOOD | {"HUB_ENV": "prod", "HUB_PUBLIC_URL": "https://hub.example.com/"}


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as error:
        load(environ)
    return "\n".join(error.value.sentences)


def test_a_small_environment_is_enough() -> None:
    settings = load(GOOD)
    assert settings.hub_party == PartyId("NL", "HUB")
    assert settings.public_url == "http://127.0.0.1:8080"
    assert (settings.admin_host, settings.admin_port) == ("127.0.0.1", 8090)
    assert settings.database_migrate_url == settings.database_url
    assert (settings.default_policy, settings.allow_insecure) == ("agreement", False)
    assert load(PROD).public_url == "https://hub.example.com"


def test_secrets_do_not_show_in_a_repr_or_a_refusal() -> None:
    assert KEY not in repr(load(GOOD))
    assert "pass-word" not in repr(load(GOOD))
    assert "c2VjcmV0" not in refused(GOOD | {"HUB_SECRET_KEY": "c2VjcmV0"})
    assert "pass-word" not in refused(GOOD | {"HUB_DATABASE_URL": "mysql://x:pass-word@y"})


def test_everything_that_is_missing_is_named_at_once() -> None:
    sentences = refused({})
    for name in ("HUB_COUNTRY_CODE", "HUB_PARTY_ID", "HUB_DATABASE_URL", "HUB_SECRET_KEY"):
        assert f"{name} is not set" in sentences
    assert "HUB_DATABASE_MIGRATE_URL" not in sentences


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_ENV", "test"),
        ("HUB_PORT", "0"),
        ("HUB_PORT", "eighty"),
        ("HUB_ADMIN_PORT", "8080"),
        ("HUB_COUNTRY_CODE", "NLD"),
        ("HUB_PARTY_ID", "TOOLONG"),
        ("HUB_DATABASE_URL", "sqlite:///x"),
        ("HUB_DATABASE_URL", "embedded:"),
        ("HUB_REDIS_URL", "localhost:6379"),
        ("HUB_SECRET_KEY", base64.b64encode(b"k" * 31).decode()),
        ("HUB_SECRET_KEY_PREVIOUS", "not base64!"),
        ("HUB_ALLOW_INSECURE", "perhaps"),
        ("HUB_DEFAULT_POLICY", "closed"),
        ("HUB_PUBLIC_URL", "hub.example.com"),
        ("HUB_PUBLIC_URL", "https://user@hub.example.com"),
        ("HUB_PUBLIC_URL", "https://hub.example.com/?a=b"),
        ("HUB_PUBLIC_URL", "https://hub.example.com/" + "x" * 150),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(name: str, value: str) -> None:
    sentences = refused(GOOD | {name: value})
    assert name in sentences
    assert sentences.count("\n") == 0


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"HUB_ALLOW_INSECURE": "1"}, "HUB_ALLOW_INSECURE"),
        ({"HUB_DATABASE_URL": "embedded:./data"}, "HUB_DATABASE_URL"),
        ({"HUB_PUBLIC_URL": "http://hub.example.com"}, "HUB_PUBLIC_URL"),
        ({"HUB_PUBLIC_URL": ""}, "HUB_PUBLIC_URL"),
    ],
)
def test_production_refuses_what_is_for_development(change: dict[str, str], name: str) -> None:
    assert name in refused(PROD | change)


def test_a_wildcard_address_needs_a_public_url() -> None:
    assert "HUB_PUBLIC_URL" in refused(GOOD | {"HUB_HOST": "0.0.0.0"})


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    assert "did you mean HUB_DATABASE_URL?" in refused(GOOD | {"HUB_DATABSE_URL": "x"})
    assert "HUB_XYZZYXYZZY is not a setting" in refused(GOOD | {"HUB_XYZZYXYZZY": "x"})


def test_what_container_platforms_inject_is_passed_over() -> None:
    injected = {"HUB_SERVICE_HOST": "10.0.0.1", "HUB_PORT": "tcp://10.0.0.1:80", "HUB_PORT_80_TCP_ADDR": "10.0.0.1"}
    assert load(GOOD | injected | {"PATH": "/bin"}).port == 8080


def test_an_embedded_database_gets_a_key_once(tmp_path: Path) -> None:
    environ = {name: value for name, value in GOOD.items() if name != "HUB_SECRET_KEY"}
    environ["HUB_DATABASE_URL"] = f"embedded:{tmp_path}/hub.pgdata"
    first, second = load(environ), load(environ)
    assert first.secret_key == second.secret_key
    file = tmp_path / "hub.pgdata.secret_key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    file.chmod(0o644)
    assert "chmod 600" in refused(environ)


def test_keys_are_derived_apart_and_the_previous_one_still_counts() -> None:
    settings = load(GOOD | {"HUB_SECRET_KEY_PREVIOUS": base64.b64encode(b"p" * 32).decode()})
    assert len({*settings.keys.mac, *settings.keys.seal}) == 4
    assert load(GOOD).keys.mac[0] == settings.keys.mac[0]
