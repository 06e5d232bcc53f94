"""The command line as somebody types it: what it prints, its exit codes, and that nobody sees a traceback or a secret."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hub_process import HubProcess
from tests.support.postgres import FreshDatabase


@pytest.fixture
def hub(hub_database: FreshDatabase, tmp_path: Path) -> HubProcess:
    return HubProcess(tmp_path, hub_database.app_dsn, hub_database.owner_dsn)


@pytest.mark.promise("U-21")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["invite", "--party", "CPO:NL"], "CPO:NL is not ROLE:COUNTRY/PARTY"),
        (["invite", "--party", "HUB:NL/ABC"], "roles are CPO"),
        (["invite"], "--party CPO:NL/ABC"),
        (["invite", "--party", "CPO:NL/ABC", "--expires", "soon"], "write 7d, 12h or 30m"),
        (["connect", "--versions-url", "http://x", "--party", "CPO:NL/ABC"], "--token-a-stdin"),
        (["platform", "set", "--party", "NL/ABC", "strikt=true"], "strikt is not a switch"),
        (["platform", "set", "--party", "NL/ABC", "strict=yes"], "strict is true or false, or default"),
        (["platform", "set", "--party", "NL/ABC", "direct_timeout=0"], "seconds up to 300"),
        (["platform", "set", "--party", "NL/ABC", "endpoint_overrides=x"], "SENDER|RECEIVER"),
        (["platform", "set", "--party", "NL/ABC", "endpoint_overrides=cdrs:SENDER=https://"], "https:// names no host"),
        (
            ["platform", "set", "--party", "NL/ABC", "endpoint_overrides=cdrs:SENDER=http:///x"],
            "http:///x names no host",
        ),
        (["trace", "list", "--object", "x\udcff"], "x\\udcff is not written in UTF-8"),
        (["trace", "show", "\udcff"], "\\udcff is not written in UTF-8"),
        (["cdr", "retry", "\udcff", "--owner", "NL/ABC"], "is not written in UTF-8"),
        (["platform", "set", "--party", "NL/ABC", "pull=often"], "pull is nightly, never or hours like 6h"),
        (["pull", "start", "--party", "NL/ABC", "--module", "cars"], "cars is no module"),
        (["agreement", "set", "--cpo", "NL/ABC", "--emsp", "NL/ABC"], "no agreement with itself"),
        (["agreement", "set", "--cpo", "NL/ABC", "--emsp", "DE/XYZ", "--module", "cars"], "cars is no module"),
        (["trace", "list", "--party", "NL"], "NL is not COUNTRY/PARTY"),
        (["trace", "list", "--since", "today"], "write 7d, 12h or 30m"),
        (["trace", "list", "--limit", "1001"], "--limit"),
        (["agreement", "set", "--cpo", "NL/ABC", "--emsp", "DE/XYZ", "--from", "soon"], "valid_from: soon is no UTC"),
        (["agreement", "set", "--cpo", "NL/ABC", "--emsp", "DE/XYZ", "--cdr-mode", "x"], "transparent or guaranteed"),
        (["agreement", "export", "--format", "xml"], "write json or csv"),
        (["cdr", "list", "--state", "LOST"], "LOST is no state of a CDR"),
        (["cdr", "retry", "CDR1", "--owner", "NL"], "NL/ABC"),
        (["serve", "--workers", "0"], "--workers"),
    ],
)
def test_misuse_is_exit_code_2_with_the_way_out(hub: HubProcess, arguments: list[str], words: str) -> None:
    done = hub.run(*arguments, COLUMNS="400")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["platform", "unregister", "--party", "NL/ABC"], "NL*ABC is not known here"),
        (["platform", "set", "--party", "NL/ABC", "strict=true"], "`ocpi-hub party list` shows who is"),
        (["delivery", "list", "--party", "NL/ABC"], "NL*ABC is not known here; `ocpi-hub party list` shows who is"),
        (["delivery", "pause", "--party", "NL/ABC"], "`ocpi-hub party list` shows who is"),
        (["delivery", "resume", "--party", "NL/ABC"], "`ocpi-hub party list` shows who is"),
        (["delivery", "retry", "--party", "NL/ABC"], "`ocpi-hub party list` shows who is"),
        (["trace", "list", "--party", "NL/ABC"], "`ocpi-hub party list` shows who is"),
        (["cdr", "list", "--owner", "NL/ABC"], "NL*ABC is not known here; `ocpi-hub party list` shows who is"),
        (["cdr", "list", "--receiver", "NL/ABC"], "`ocpi-hub party list` shows who is"),
        (["agreement", "remove", "--cpo", "NL/ABC", "--emsp", "DE/XYZ"], "have no agreement"),
        (["agreement", "import", "/nowhere"], "/nowhere cannot be read"),
        (["pull", "start", "--party", "NL/ABC"], "NL*ABC is not known here; `ocpi-hub party list` shows who is"),
        (["cdr", "retry", "CDR1", "--owner", "NL/ABC"], "NL*ABC is not known here; `ocpi-hub party list` shows who is"),
        (["invite", "--party", "CPO:NL/HUB"], "the hub's own party"),
        (["trace", "show", "none"], "No trace of such a message is kept"),
        (["key", "rotate"], "There is no former key: set HUB_SECRET_KEY to the new key"),
        (["openapi", "--output", "/dev/null"], "/dev/null cannot be written to"),
    ],
)
def test_what_cannot_be_done_is_exit_code_1_in_one_sentence(hub: HubProcess, arguments: list[str], words: str) -> None:
    done = hub.run(*arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["delivery", "resume", "--party", "NL/ABC"], "NL*ABC receives nothing here; `ocpi-hub delivery list` shows"),
        (["delivery", "retry", "--party", "NL/ABC"], "NL*ABC receives nothing here"),
        (["pull", "start", "--party", "NL/ABC"], "NL*ABC is not registered here; `ocpi-hub party list` shows"),
        (["pull", "start", "--party", "NL/ABC", "--module", "cdrs"], "cdrs comes with the pushes of its owner"),
        (["cdr", "retry", "CDR1", "--owner", "NL/ABC"], "There is no CDR CDR1 of NL*ABC"),
    ],
)
def test_what_cannot_be_done_for_a_party_that_is_only_invited_is_said(
    hub: HubProcess, arguments: list[str], words: str
) -> None:
    hub.invite("CPO:NL/ABC")
    done = hub.run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert words in done.stderr


def test_a_token_that_is_no_text_is_misuse(hub: HubProcess) -> None:
    command = [sys.executable, "-m", "hub", "connect", "--party", "CPO:NL/ABC", "--token-a-stdin", "--versions-url"]
    environ = hub.environ | {"COLUMNS": "400"}
    done = subprocess.run(
        [*command, "http://127.0.0.1:1/"], env=environ, input=b"a\xff\n", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"not written in UTF-8" in done.stderr


def test_settings_are_refused_with_exit_code_2(hub: HubProcess) -> None:
    done = hub.run("migrate", HUB_PORT="many", HUB_PARTI_ID="X")
    assert done.returncode == 2
    assert "did you mean HUB_PARTY_ID?" in done.stderr
    assert "HUB_PORT cannot be used" in done.stderr


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://nobody:s3cret@127.0.0.1:1/hub", "Errno 111"),
        ("postgresql://nobody:s3cret@/{database}?host={folder}&port={port}", "nobody"),
        ("postgresql://hub_app:s3cret@/none?host={folder}&port={port}", "none"),
    ],
    ids=["nobody listens", "no such role", "no such database"],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(
    hub: HubProcess, hub_database: FreshDatabase, url: str, words: str
) -> None:
    folder, port = hub_database.app_dsn.partition("host=")[2].split("&port=")
    filled = url.format(folder=folder, port=port, database=hub_database.name)
    for arguments in (["party", "list"], ["serve"], ["migrate"], ["doctor"]):
        done = hub.run(*arguments, HUB_DATABASE_URL=filled, HUB_DATABASE_MIGRATE_URL=filled)
        assert done.returncode == 1, arguments
        assert words in done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        assert "s3cret" not in done.stderr + done.stdout


def test_tables_come_with_migrate_and_a_second_time_changes_nothing(hub: HubProcess, tmp_path: Path) -> None:
    fresh = HubProcess(tmp_path, f"embedded:{tmp_path / 'postgres'}")
    applied = fresh.json("migrate")["applied"]
    assert applied == sorted(applied)
    assert applied[0] == "0001_parties"
    assert fresh.json("migrate") == {"applied": []}
    assert fresh.json("platform", "list") == []


def test_an_invitation_shows_its_token_once(hub: HubProcess) -> None:
    made = hub.json("invite", "--role", "EMSP", "--country-code", "de", "--party-id", "xyz")
    assert made["token_a"].startswith("hubA_")
    assert made["versions_url"] == hub.versions_url
    told = hub.run("invite", "--party", "CPO:NL/ABC")
    assert told.stdout.count("hubA_") == 1
    shown = [hub.run(*words).stdout for words in (["platform", "list"], ["party", "list"], ["doctor"])]
    assert not any("hubA_" in text for text in shown)
    parties = [(row["party"], row["role"], row["state"]) for row in hub.json("party", "list")]
    assert sorted(parties) == [("DE/XYZ", "EMSP", "PLANNED"), ("NL/ABC", "CPO", "PLANNED")]


@pytest.mark.promise("U-18", "U-21")
def test_doctor_ends_with_1_for_a_problem_and_0_for_advice(hub: HubProcess) -> None:
    assert {finding["level"] for finding in hub.json("doctor")} == {"advice"}
    as_owner = hub.run("doctor", HUB_DATABASE_URL=hub.environ["HUB_DATABASE_MIGRATE_URL"])
    assert as_owner.returncode == 1
    assert as_owner.stdout.startswith("The hub runs as hub_owner, which owns its tables.\n  ")
    unset = hub.run("doctor", HUB_PUBLIC_URL="nonsense")
    assert unset.returncode == 1
    assert unset.stdout.startswith("HUB_PUBLIC_URL is the address partners reach the hub at")


def test_doctor_makes_no_database(hub: HubProcess, tmp_path: Path) -> None:
    done = hub.run("doctor", HUB_DATABASE_URL=f"embedded:{tmp_path / 'none'}", HUB_DATABASE_MIGRATE_URL="")
    assert done.returncode == 1
    assert not (tmp_path / "none").exists()


def test_switches_are_changed_one_by_one_and_taken_back(hub: HubProcess) -> None:
    hub.invite("CPO:NL/ABC")
    changed = hub.json("platform", "set", "--party", "nl*abc", "strict=true", "direct_timeout=10")
    assert changed["switches"] == {"strict": True, "direct_timeout": 10.0}
    override = "endpoint_overrides=sessions:RECEIVER=https://cpo.example/sessions?a=b"
    assert hub.json("platform", "set", "--party", "NL/ABC", override)["switches"]["strict"] is True
    reset = hub.json("platform", "set", "--party", "NL/ABC", "strict=default", "direct_timeout=default")
    assert reset["switches"] == {"endpoint_overrides": {"sessions:RECEIVER": "https://cpo.example/sessions?a=b"}}
    assert hub.json("platform", "list")[0]["switches"] == reset["switches"]


def test_agreements_are_set_listed_replaced_and_removed(hub: HubProcess) -> None:
    pair = ["--cpo", "NL/ABC", "--emsp", "DE/XYZ"]
    usual = {"valid_from": None, "valid_until": None, "cdr_mode": "transparent", "holds_now": True}
    first = {"cpo": "NL/ABC", "emsp": "DE/XYZ", "modules": ["cdrs", "sessions"], **usual}
    assert hub.json("agreement", "set", *pair, "--module", "sessions", "--module", "cdrs") == first
    assert hub.json("agreement", "list") == [first]
    dates = ["--from", "2020-01-01", "--until", "2020-01-31T12:00:00.25Z", "--cdr-mode", "guaranteed"]
    hub.json("agreement", "set", "--cpo", "DE/XYZ", "--emsp", "NL/ABC", *dates)
    assert hub.json("agreement", "list") == [
        {
            "cpo": "DE/XYZ",
            "emsp": "NL/ABC",
            "modules": ["all"],
            "valid_from": "2020-01-01T00:00:00Z",
            "valid_until": "2020-01-31T12:00:00.250000Z",
            "cdr_mode": "guaranteed",
            "holds_now": False,
        }
    ]
    hub.json("agreement", "remove", *pair)
    assert hub.json("agreement", "list") == []
    assert "There is no agreement yet" in hub.run("agreement", "list").stdout
    said = hub.run("agreement", "set", *pair).stdout
    assert [f"{party} is not known here yet" in said for party in ("NL*ABC", "DE*XYZ")] == [True, True]


def test_agreements_are_exported_and_imported_as_a_whole_or_not_at_all(hub: HubProcess, tmp_path: Path) -> None:
    pairs = (["--cpo", "NL/ABC", "--emsp", "DE/XYZ", "--until", "2030-01-01"], ["--cpo", "NL/ABC", "--emsp", "FR/OTH"])
    for pair in pairs:
        hub.json("agreement", "set", *pair)
    files = {form: hub.run("agreement", "export", "--format", form).stdout for form in ("json", "csv")}
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("cpo,emsp,valid_until\nNL/NEW,DE/XYZ,\nNL/ABC,DE/XYZ,tomorrow\n")
    refused = hub.run("agreement", "import", str(wrong))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines() == [
        "Line 3: valid_until: tomorrow is no UTC instant; write 2026-01-31T12:00:00Z or 2026-01-31.",
        "Nothing was changed.",
    ]
    before = hub.json("agreement", "list")
    for text in files.values():
        assert hub.json("agreement", "import", "-", given=text) == {"added": [], "changed": [], "unchanged": 2}
    assert hub.json("agreement", "list") == before
    hub.json("agreement", "remove", *pairs[0][:4])
    hub.json("agreement", "set", *pairs[1], "--module", "cdrs")
    told = hub.run("agreement", "import", "-", "--dry-run", given=files["csv"]).stdout.splitlines()
    assert told == [
        "+ NL/ABC DE/XYZ every module until 2030-01-01T00:00:00Z",
        "- NL/ABC FR/OTH cdrs",
        "+ NL/ABC FR/OTH every module",
        "Nothing was changed; it would be: 1 new, 1 changed, 0 as they were.",
    ]
    assert len(hub.json("agreement", "list")) == 1
    assert len(hub.json("agreement", "import", "-", given=files["json"])["added"]) == 1
    assert hub.json("agreement", "list") == before


def test_the_openapi_documents_are_written(hub: HubProcess, tmp_path: Path) -> None:
    written = hub.json("openapi", "--output", str(tmp_path / "documents"))["written"]
    assert [Path(path).name for path in written] == ["ocpi-2.2.1.json"]
    assert Path(written[0]).read_bytes() == Path("openapi/ocpi-2.2.1.json").read_bytes()


def test_help_is_there_before_anything_heavy_is_imported() -> None:
    heavy = "fastapi, sqlalchemy, alembic, asyncpg, httpx, uvicorn, hub.app, hub.demo.demo, pydantic_settings"
    code = f"import sys, hub.__main__; print([name for name in '{heavy}'.split(', ') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"


def test_what_an_operator_lets_a_platform_do(hub: HubProcess) -> None:
    hub.invite("CPO:NL/ABC")
    of = ("--party", "NL/ABC")
    refused = hub.run("platform", "suspend", *of)
    assert (refused.returncode, "only a REGISTERED one" in refused.stderr) == (1, True)
    hub.json("platform", "approve", *of, "--role", "EMSP:NL/ABC")
    assert {one["role"] for one in hub.json("party", "list")} == {"CPO", "EMSP"}
    taken = hub.run("platform", "approve", *of, "--role", "CPO:NL/HUB")
    assert taken.returncode in (1, 2)
    assert hub.json("platform", "approve-host", *of, "--host", "New.example")["platform"]
    wrong = hub.run("platform", "approve-host", *of, "--host", "https://new.example")
    assert (wrong.returncode, "without scheme" in wrong.stderr) == (2, True)
    assert hub.json("platform", "revoke-tokens", *of)["state"]
    unknown = hub.run("platform", "resume", "--party", "NL/XXX")
    assert (unknown.returncode, "`ocpi-hub party list`" in unknown.stderr) == (1, True)
