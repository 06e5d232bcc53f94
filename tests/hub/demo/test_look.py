"""The line with which a newcomer looks into the demo: it can be pasted into a shell as it stands."""

import shlex
from pathlib import Path

from hub.demo.demo import look
from hub.settings import load


def test_the_line_names_a_program_that_is_there_and_settings_that_are_enough(tmp_path: Path) -> None:
    folder = tmp_path / "a folder's name"
    given = {"HUB_COUNTRY_CODE": "NL", "HUB_PARTY_ID": "HUB", "HUB_DATABASE_URL": f"embedded:{folder}", "HUB_PORT": "1"}
    words = shlex.split(look(given))
    program, *arguments = [word for word in words if not word.startswith("HUB_")]
    assert (Path(program).exists(), arguments) == (True, ["trace", "list"])
    settings = load(dict(word.split("=", 1) for word in words if word.startswith("HUB_")))
    assert settings.embedded_directory == folder
