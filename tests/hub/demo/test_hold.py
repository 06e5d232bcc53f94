"""One demo at a time in a folder, and a folder that can be one."""

import os
from pathlib import Path

import pytest

from hub.demo.demo import DemoOptions, forget, run_demo
from hub.demo.hold import held
from hub.demo.processes import DemoFailed


def test_a_second_demo_in_the_same_folder_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    with held(tmp_path / "demo"), pytest.raises(DemoFailed, match="A demo is running in"):
        run_demo(DemoOptions(once=True, json=True, folder=tmp_path / "demo"))
    with held(tmp_path / "demo"):
        pass


def test_a_reset_does_not_take_the_data_of_a_running_demo(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with held(folder):
        (folder / "logs").mkdir()
        with pytest.raises(DemoFailed, match="A demo is running in"):
            forget(folder)
        assert (folder / "logs").exists()
    forget(folder)
    assert not folder.exists()


def test_a_demo_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    held_by_child, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with held(tmp_path):
            os.write(tell, b"!")
            os.kill(os.getpid(), 9)
    os.read(held_by_child, 1)
    os.waitpid(child, 0)
    os.close(tell)
    os.close(held_by_child)
    with held(tmp_path):
        pass


@pytest.mark.parametrize("reset", [False, True])
def test_a_file_is_no_folder_for_a_demo(tmp_path: Path, reset: bool) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DemoFailed, match="name another --folder"):
        run_demo(DemoOptions(once=True, reset=reset, folder=file))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DemoFailed, match="cannot be used"):
        run_demo(DemoOptions(folder=tmp_path / "file" / "demo"))
