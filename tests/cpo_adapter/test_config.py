"""The site file and the settings: what is wrong is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from cpo_adapter import config, settings
from ocpi_modules.message import PartyId
from tests.cpo_adapter.running_adapter import KEY, SITE

PARTY = PartyId("NL", "ABC")
PLACE = {"connector_id": 1, "location_id": "LOC1", "evse_uid": "E1"}
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


def test_a_site_says_which_chargers_may_offer_no_subprotocol(tmp_path: Path) -> None:
    chargers = [{"charger_id": "Old", "assume_ocpp16": True}, {"charger_id": "NEW", "assume_ocpp16": False}]
    assert config.load(written(tmp_path, chargers=chargers), PARTY).assume_ocpp16 == {"old"}


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
        ({"chargers": [{"charger_id": "CP-1", "evses": [{**PLACE, "location_id": "LOC9"}]}]}, "CP-1"),
    ],
)
def test_a_wrong_site_is_refused_with_the_field(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(config.ConfigError, match=words.replace("[", r"\[")):
        config.load(written(tmp_path, **changed), PARTY)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tariffs": {}}, "tariffs must be a list"),
        ({"tariffs": [1]}, "tariffs[0] must be an object"),
        ({"locations": [{"id": "L", "evses": 5}]}, "locations[0].evses must be a list"),
        ({"locations": [{"evses": [{"connectors": ["x"]}]}]}, "locations[0].evses[0].connectors[0] must be an object"),
        ({"chargers": 5}, "chargers must be a list"),
        ({"chargers": [{}]}, "chargers[0].charger_id must be"),
        ({"chargers": [{"charger_id": "A", "evse": []}]}, "chargers[0].evse is not known"),
        ({"chargers": [{"charger_id": "A", "evses": [{"connector_id": "x"}]}]}, "chargers[0].evses[0].connector_id"),
        ({"chargers": [{"charger_id": "A", "evses": [{"connector_id": 0}]}]}, "1 or more"),
        ({"chargers": [{"charger_id": "A", "evses": [{"max_power_w": "lots"}]}]}, "max_power_w must be"),
        ({"chargers": [{"charger_id": "A", "assume_ocpp16": 1}]}, "chargers[0].assume_ocpp16 must be true or false"),
        ({"business_details": 5}, "business_details must be an object"),
    ],
)
def test_a_site_of_the_wrong_shape_is_refused_with_the_field(
    tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(config.ConfigError) as refused:
        config.load(written(tmp_path, **changed), PARTY)
    assert words in str(refused.value)


def changed_site(change: str) -> dict[str, Any]:
    site: dict[str, Any] = json.loads(json.dumps(SITE, default=float))
    tariff, location, charger = site["tariffs"][0], site["locations"][0], site["chargers"][0]
    component = tariff["elements"][0]["price_components"][0]
    match change:
        case "tariff twice":
            site["tariffs"].append({**tariff, "id": tariff["id"].lower()})
        case "location twice":
            site["locations"].append(location)
        case "evse twice":
            location["evses"].append(location["evses"][0])
        case "charger twice":
            site["chargers"].append({"charger_id": charger["charger_id"].lower()})
        case "connector twice":
            charger["evses"].append({**charger["evses"][1], "connector_id": charger["evses"][0]["connector_id"]})
        case "place twice":
            site["chargers"].append({**charger, "charger_id": "CP-ELSE"})
        case "foreign tariff":
            tariff["party_id"] = "XYZ"
        case "no step":
            component["step_size"] = 0
        case "no evse_id":
            del location["evses"][0]["evse_id"]
    return site


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("tariff twice", "tariffs: the id t1 is given 2 times"),
        ("location twice", "locations: the id loc1 is given 2 times"),
        ("evse twice", "the EVSE uid e1 is given 2 times"),
        ("charger twice", "the charger_id cp-1 is given 2 times"),
        ("connector twice", "connector 1 of cp-1 is given 2 times"),
        ("place twice", "the place loc1 e1 1 is given 2 times"),
        ("foreign tariff", "belongs to NL*XYZ, not to NL*ABC"),
        ("no step", "cannot be priced: "),
        ("no evse_id", "has no evse_id"),
    ],
)
def test_a_site_that_could_bill_wrongly_is_refused(tmp_path: Path, change: str, words: str) -> None:
    with pytest.raises(config.ConfigError) as refused:
        config.load(written(tmp_path, **changed_site(change)), PARTY)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"ADAPTER_PARTY": "ABC"}, "did you mean ADAPTER_PARTY_ID?"),
        ({"ADAPTER_PARTY_ID": "ABCD"}, "ADAPTER_PARTY_ID"),
        ({"ADAPTER_SECRET_KEY": "x"}, "ADAPTER_SECRET_KEY"),
        ({"ADAPTER_COUNTRY_CODE": ""}, "ADAPTER_COUNTRY_CODE is not set"),
        ({"ADAPTER_ENV": "prod", "ADAPTER_ALLOW_INSECURE": "true"}, "ADAPTER_ALLOW_INSECURE is for development"),
        ({"ADAPTER_ENV": "prod"}, "ADAPTER_PUBLIC_URL must start with https://"),
        ({"ADAPTER_OCPP_KEY": "key.pem"}, "ADAPTER_OCPP_CERTIFICATE and ADAPTER_OCPP_KEY go together"),
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


PROD = {"ADAPTER_ENV": "prod", "ADAPTER_PUBLIC_URL": "https://cpo.example"}
FILES = {"ADAPTER_OCPP_CERTIFICATE": "chain.pem", "ADAPTER_OCPP_KEY": "key.pem"}


@pytest.mark.promise("S-45")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "cpo.example"])
def test_production_takes_no_charger_without_tls_from_outside(host: str) -> None:
    open_to_all = {**ENVIRONMENT, **PROD, "ADAPTER_OCPP_HOST": host}
    for said in ({}, {"ADAPTER_OCPP_TLS_IN_FRONT": ""}, {"ADAPTER_OCPP_TLS_IN_FRONT": "false"}):
        with pytest.raises(settings.SettingsError, match="unencrypted"):
            settings.load({**open_to_all, **said})
    for way_out in ({"ADAPTER_OCPP_TLS_IN_FRONT": "true"}, FILES):
        assert not settings.load({**open_to_all, **way_out}).is_ocpp_plain
    assert settings.load({**open_to_all, "ADAPTER_ENV": "dev"}).is_ocpp_plain


@pytest.mark.promise("S-45")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_production_takes_plain_connections_of_its_own_machine(host: str) -> None:
    assert settings.load({**ENVIRONMENT, **PROD, "ADAPTER_OCPP_HOST": host}).ocpp_host == host
