"""The table of rules is true: its ids exist, its exceptions are few, README says what the command says."""

import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.rules.catalogue import CHECKLIST, DUE, PROMISES, README, Rule, read_exceptions, read_rules
from tests.rules.collect import MAXIMUM_IDS, by_rule, collect
from tests.rules.mutants import MUTANTS
from tests.rules.report import MISSING, counts, lines, state
from tests.simulation.mutants import MUTANTS as OF_DELIVERY

ROOT = README.parent
MAXIMUM_REASONS = 40
RULES = {
    "X-01": Rule("X-01", "MUST", "ALL", "TF", "one"),
    "X-02": Rule("X-02", "MUST(d)", "CPO/HUB", "TF", "two"),
    "X-03": Rule("X-03", "MUST", "CPO", "TF", "three"),
    "X-04": Rule("X-04", "SHOULD", "HUB", "TF", "four"),
    "G-01": Rule("G-01", "GUIDANCE", "", "TF", "five"),
    "U-01": Rule("U-01", "DECISION", "", "TF", "six"),
}


Markers = Mapping[str, tuple[str, ...]]


@pytest.fixture(scope="module")
def markers() -> Markers:
    return collect()


@pytest.fixture(scope="module")
def report() -> str:
    """What the command prints, with an exit code of 0 or 1."""
    done = subprocess.run([sys.executable, "-m", "tests.rules"], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def test_no_marker_names_a_rule_nobody_knows(markers: Markers) -> None:
    known = read_rules()
    unknown = {
        node: strange
        for node, ids in markers.items()
        if (strange := [id_ for id_ in ids if id_ not in known and not PROMISES.fullmatch(id_)])
    }
    assert unknown == {}


def test_a_test_proves_few_rules(markers: Markers) -> None:
    assert {node: ids for node, ids in markers.items() if len(ids) > MAXIMUM_IDS} == {}


def test_exceptions_are_known_few_and_have_a_reason() -> None:
    rules, exceptions = read_rules(), read_exceptions()
    assert set(exceptions) <= set(rules)
    reasons = {id_: text for id_, text in exceptions.items() if not text.startswith(DUE)}
    assert {id_ for id_, text in exceptions.items() if len(text.removeprefix(DUE).strip()) < 5} == set()
    assert len([id_ for id_ in reasons if not id_.startswith("G-")]) <= MAXIMUM_REASONS


def test_a_rule_with_a_test_needs_no_reason(markers: Markers) -> None:
    proven = by_rule(markers)
    reasons = {id_ for id_, text in read_exceptions().items() if not text.startswith(DUE)}
    assert sorted(reasons & set(proven)) == []


def test_the_command_prints_each_rule_and_readme_repeats_its_last_line(report: str) -> None:
    *table, last = report.splitlines()
    assert last in README.read_text().splitlines(), f"`python -m tests.rules --write` puts it into README: {last}"
    numbers = [int(number) for number in re.findall(r"\d+", last)]
    assert numbers[0] == sum(numbers[1:])
    printed = {line.split()[0] for line in table}
    assert {rule.id for rule in read_rules().values() if rule.must_be_proven} <= printed


def test_no_rule_is_missing(report: str) -> None:
    assert [line for line in report.splitlines() if " MISSING: " in line] == []


def test_rules_of_the_hub_are_missing_without_a_test_or_a_line() -> None:
    found = {id_: state(rule, {}, {}) for id_, rule in RULES.items()}
    assert found == {"X-01": MISSING, "X-02": MISSING, "X-03": "", "X-04": "", "G-01": MISSING, "U-01": MISSING}
    tests, exceptions = (
        {"X-01": ["a.py::test_a"], "X-03": ["b.py::test_b"]},
        {"X-02": "due: prices", "G-01": "a text", "U-01": "due: edge"},
    )
    assert counts(RULES, tests, exceptions) == "4 rules: 1 proven, 1 explained, 2 due in another issue, 0 missing"
    assert list(lines(RULES, tests, exceptions)) == [
        "X-01   MUST        a.py::test_a",
        "X-02   MUST(d)     DUE IN ANOTHER ISSUE: due: prices",
        "X-03   MUST        b.py::test_b",
        "G-01   GUIDANCE    EXPLAINED: a text",
        "U-01   DECISION    DUE IN ANOTHER ISSUE: due: edge",
    ]


@pytest.mark.skipif(not CHECKLIST.exists(), reason="the checklist does not lie beside the project")
def test_the_rules_are_those_of_the_checklist() -> None:
    line = re.compile(r"^- \*\*([A-Z]+-\d+)\*\* (?:((?:MUST|SHOULD|MAY|CHOOSE)(?: NOT)?(?:\(d\))?) \[([^\]]+)\] )?")
    given = {
        match[1]: (match[2], match[3])
        for text in CHECKLIST.read_text().splitlines()
        if (match := line.match(text)) and not match[1].startswith("V-")
    }
    ours = {rule.id: (rule.level, rule.who) for rule in read_rules().values() if not rule.id.startswith("TX-")}
    unlevelled = {id_ for id_, (level, _) in given.items() if level is None}
    assert unlevelled == {id_ for id_ in ours if id_.startswith(("G-", "U-"))}
    assert {id_: value for id_, value in ours.items() if id_ not in unlevelled} == {
        id_: value for id_, value in given.items() if id_ not in unlevelled
    }


def test_at_least_fifty_mutants_find_their_text_once_and_break_a_rule_that_is_proven(markers: Markers) -> None:
    proven = by_rule(markers)
    fresh = [mutant for mutant in MUTANTS if (ROOT / mutant.file).read_text().count(mutant.old) == 1]
    assert len(fresh) >= 50, f"{set(MUTANTS) - set(fresh)} no longer find their text: write them anew"
    assert [mutant.name for mutant in MUTANTS if mutant.name not in proven] == []


def test_every_mutant_of_delivery_finds_its_text_once() -> None:
    found = {mutant.name: (ROOT / mutant.file).read_text().count(mutant.old) for mutant in OF_DELIVERY}
    assert {name: count for name, count in found.items() if count != 1} == {}
