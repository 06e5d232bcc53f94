"""The import rules of the house, and what they cannot say: SQL stands in repositories only, tables in tables.py only."""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("hub", "ocpi_modules", "cpo_adapter")
SQL = re.compile(r"^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|GRANT|WITH)\s", re.MULTILINE)
SQL_ROOMS = ("repository.py", "/db/", "/migrations/", "/storage/engine.py", "/storage/migrate.py")


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def strings(path: Path) -> list[str]:
    """Every string literal of a file but its docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def test_the_import_rules_hold() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([str(tool)], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stdout


def test_sql_stands_in_repositories_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {text.strip()[:60]}"
        for path in sources()
        if not any(room in path.as_posix() for room in SQL_ROOMS)
        for text in strings(path)
        if (SQL.search(text) and "\n" in text) or re.match(r"(SELECT|INSERT|UPDATE|DELETE) .* (FROM|INTO|SET) ", text)
    ]
    assert wrong == []


def test_tables_stand_in_tables_only() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.name != "tables.py" and re.search(r"table\s*=\s*True", path.read_text())
    ]
    assert wrong == []


def test_no_source_file_grows_beyond_a_reader() -> None:
    wrong = {str(path.relative_to(ROOT)): n for path in sources() if (n := len(path.read_text().splitlines())) > 400}
    assert wrong == {}


def test_money_and_energy_are_never_floats() -> None:
    """No float() call and no float annotation in the rooms that hold money or energy."""
    rooms = ("ocpi_modules", "cpo_adapter/charging", "hub/clearing", "hub/objects", "hub/routing")
    wrong = []
    for path in sources():
        relative = path.relative_to(ROOT).as_posix()
        if not relative.startswith(rooms) or relative.startswith("ocpi_modules/http/"):
            continue
        names = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)]
        wrong += [f"{relative}:{node.lineno}" for node in names if node.id == "float"]
    assert wrong == []


def test_nothing_waits_through_what_may_swallow_a_cancellation() -> None:
    """asyncio.wait_for of Python 3.11 forgets that it was cancelled when what it waits for ends at that moment."""
    wrong = [str(path.relative_to(ROOT)) for path in sources() if "asyncio.wait_for(" in path.read_text()]
    assert wrong == []
