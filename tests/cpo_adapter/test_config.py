"""The site file and the settings: what is wrong is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from cpo_adapter import config, settings
from ocpi_modules.message import PartyId
from tests.cpo_adapter.running_adapter import KEY, SITE

PARTY = PartyId("NL", "ABC")
ENVIRONMENT = {
    "ADAPTER_COUNTRY_CODE": "NL",
    "ADAPTER_PARTY_ID": "ABC",
    "ADAPTER_DATABASE_URL": "postgresql://localhost/adapter",
    "ADAPTER_SECRET_KEY": KEY,
    "ADAPTER_CONFIG": "site.json",
}


def written(folder: Path, **changed: Any) -> Path:
    path = folder / "site.json"
    path.write_text(json.dumps({**SITE, **changed}, default=float))
    return path


def test_a_site_says_which_connector_of_which_charger_stands_where(tmp_path: Path) -> None:
    site = config.load(written(tmp_path), PARTY)
    place = site.place("cp-1", 2)
    assert place is not None
    assert (place.location_id, place.evse_uid, place.ocpi_connector_id) == ("LOC1", "E2", "1")
    assert [tariff["id"] for tariff in site.tariffs_of(place)] == ["T1"]
    assert site.places_at("loc1", "e2") == [place]
    assert site.place("cp-1", 3) is None


def test_a_site_may_be_written_in_toml(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        '[[tariffs]]\nid = "T1"\ncurrency = "EUR"\n[[tariffs.elements]]\n'
        '[[tariffs.elements.price_components]]\ntype = "ENERGY"\nprice = 0.1\nstep_size = 1\n'
    )
    price = config.load(path, PARTY).tariffs["t1"]["elements"][0]["price_components"][0]["price"]
    assert str(price) == "0.1"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"sites": []}, "sites is not known"),
        ({"tariffs": []}, "names the tariff T1"),
        ({"tariffs": [{"id": "T1"}]}, "tariffs[0]: currency"),
        ({"chargers": [{"charger_id": "CP-1", "evses": [{"connector_id": 1, "location_id": "LOC9"}]}]}, "CP-1"),
    ],
)
def test_a_wrong_site_is_refused_with_the_field(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(config.ConfigError, match=words.replace("[", r"\[")):
        config.load(written(tmp_path, **changed), PARTY)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ADAPTER_PARTY": "ABC"}, "did you mean ADAPTER_PARTY_ID?"),
        ({"ADAPTER_PARTY_ID": "ABCD"}, "ADAPTER_PARTY_ID"),
        ({"ADAPTER_SECRET_KEY": "x"}, "ADAPTER_SECRET_KEY"),
        ({"ADAPTER_COUNTRY_CODE": ""}, "ADAPTER_COUNTRY_CODE is not set"),
        ({"ADAPTER_ENV": "prod", "ADAPTER_ALLOW_INSECURE": "true"}, "ADAPTER_ALLOW_INSECURE is for development"),
        ({"ADAPTER_ENV": "prod"}, "ADAPTER_PUBLIC_URL must start with https://"),
        ({"ADAPTER_PUBLIC_URL": "ftp://x"}, "ADAPTER_PUBLIC_URL is the address"),
        ({"ADAPTER_PUBLIC_URL": "https://" + "x" * 150}, "at most 150"),
        ({"ADAPTER_OCPI_PORT": "80810"}, "ADAPTER_OCPI_PORT"),
    ],
)
def test_wrong_settings_are_refused_with_the_variable(changed: dict[str, str], words: str) -> None:
    with pytest.raises(settings.SettingsError) as refused:
        settings.load({**ENVIRONMENT, **changed})
    assert any(words in sentence for sentence in refused.value.sentences), refused.value.sentences


def test_what_container_platforms_inject_is_ignored() -> None:
    injected = {"ADAPTER_SERVICE_HOST": "10.0.0.1", "ADAPTER_PORT": "tcp://10.0.0.1:8081"}
    assert settings.load({**ENVIRONMENT, **injected}).url == "http://127.0.0.1:8081"
