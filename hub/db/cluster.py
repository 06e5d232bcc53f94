"""The files of an embedded cluster: its directory, its user, its private socket folder, initdb, its settings."""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hub.db.embedded_guard import as_user, clean_environment
from hub.db.postgres_binaries import Binaries, EmbeddedPostgresError

SUPERUSER = "postgres"
WORKING_DIRECTORY = Path("/proc/self/cwd")
SERVER_USERS = ("postgres", "nobody")
SETTINGS_FILE = "embedded.conf"
INITDB_SECONDS = 120.0
BUILTIN_LOCALE = ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
OLDER_LOCALE = ("--locale=C.UTF-8",)  # before 17 there is no builtin provider
LONGEST_LOG_BYTES = 10_000_000


def prepare_directory(directory: Path) -> None:
    """Make the directory, for its owner alone if it is new."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"{directory} cannot be made ({error.strerror}): choose another directory."
        ) from error
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise EmbeddedPostgresError(f"{directory} belongs to another user: choose another directory.")


def choose_user(data: Path) -> list[int] | None:
    """`[uid, gid]` the server runs as; None for ourselves. PostgreSQL refuses root, so root lends it another user."""
    uid = os.geteuid()
    if uid == 0:
        return _user_of(data) if data.exists() and data.stat().st_uid else _server_user()
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise EmbeddedPostgresError(
            f"The user id {uid} has no entry in /etc/passwd, which initdb needs: add one, or use a PostgreSQL server by its URL."
        ) from None
    if data.exists() and data.stat().st_uid != uid:
        raise EmbeddedPostgresError(
            f"{data} belongs to user id {data.stat().st_uid}: run as that user, or choose another directory."
        )
    return None


def major_of(data: Path) -> int | None:
    """Major version of PostgreSQL that made the data directory; None if there is none yet."""
    try:
        return int((data / "PG_VERSION").read_text(encoding="ascii"))
    except FileNotFoundError:
        if data.exists() and any(data.iterdir()):
            raise EmbeddedPostgresError(
                f"{data} holds files that are no PostgreSQL cluster: choose another directory."
            ) from None
        return None


def private_folder(note: Path, run_as: list[int] | None) -> Path:
    """The short folder for the socket that `note` names, or a new one; open to the server's user alone, and empty of sockets."""
    uid, gid = run_as or (os.geteuid(), os.getegid())
    folder = Path(note.read_text(encoding="utf-8").strip()) if note.exists() else None
    if folder is None or not _is_private(folder, uid):
        short = next((root for root in (tempfile.gettempdir(), "/tmp") if len(os.fsencode(root)) < 70), "/tmp")  # noqa: S108
        folder = Path(tempfile.mkdtemp(prefix="ocpi-hub-", dir=short))
        if run_as is not None:
            os.chown(folder, uid, gid)
        new = note.with_suffix(".new")
        new.write_text(f"{folder}\n", encoding="utf-8")
        new.replace(note)
    for left_over in folder.glob(".s.PGSQL.*"):
        left_over.unlink()
    return folder


def initialise(data: Path, binaries: Binaries, run_as: list[int] | None, settings: Mapping[str, str]) -> None:
    """Run initdb under a temporary name, then rename: a cluster is there wholly or not at all."""
    new = data.with_name("data.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if run_as is not None:
        os.chown(new, *run_as)
    where = WORKING_DIRECTORY if WORKING_DIRECTORY.exists() else new
    locale = BUILTIN_LOCALE if binaries.major >= 17 else OLDER_LOCALE
    argv = [str(binaries.bin / "initdb"), "-D", str(where), "-U", SUPERUSER, "--encoding=UTF8", *locale]
    argv += ["--auth-local=trust", "--auth-host=reject", "--no-instructions"]
    argv += ["--no-sync"] if settings.get("fsync") == "off" else []
    _run(argv, new, run_as)
    with (new / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"\ninclude '{SETTINGS_FILE}'\n")
    new.rename(data)


def write_settings(data: Path, settings: Mapping[str, str], run_as: list[int] | None) -> None:
    """Write the included settings file anew."""
    lines = [f"{name} = '{value.replace(chr(39), 2 * chr(39))}'\n" for name, value in settings.items()]
    path = data / SETTINGS_FILE
    path.write_text("# Written at every start; change postgresql.conf instead.\n" + "".join(lines), encoding="utf-8")
    path.chmod(0o600)
    if run_as is not None:
        os.chown(path, *run_as)


def shorten_log(log: Path) -> None:
    """Put a log that has grown long aside, over the one put aside before."""
    if log.exists() and log.stat().st_size > LONGEST_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def _run(argv: list[str], where: Path, run_as: list[int] | None) -> None:
    try:
        done = subprocess.run(  # noqa: S603
            argv, cwd=where, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=INITDB_SECONDS, text=True, errors="replace", umask=0o077,
            **as_user(run_as),
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise EmbeddedPostgresError(f"initdb could not be run for {where.parent}: {error}") from error
    if done.returncode:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise EmbeddedPostgresError(f"initdb failed in {where.parent}. The end of its output:\n{last}")


def _is_private(folder: Path, uid: int) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o077


def _user_of(data: Path) -> list[int]:
    return [data.stat().st_uid, data.stat().st_gid]


def _server_user() -> list[int]:
    for name in SERVER_USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return [user.pw_uid, user.pw_gid]
    raise EmbeddedPostgresError("PostgreSQL refuses to run as root, and there is no user postgres or nobody: add one.")
