"""The table id -> test, and the counts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tests.rules.catalogue import DUE, Rule

PROVEN, EXPLAINED, DUE_ELSEWHERE, MISSING = "proven", "explained", "due in another issue", "missing"


def state(rule: Rule, tests: Mapping[str, Sequence[str]], exceptions: Mapping[str, str]) -> str:
    """ "" for a rule that needs no proof and has none."""
    if rule.id in tests:
        return PROVEN
    if rule.id in exceptions:
        return DUE_ELSEWHERE if exceptions[rule.id].startswith(DUE) else EXPLAINED
    return MISSING if rule.must_be_proven else ""


def lines(
    rules: Mapping[str, Rule], tests: Mapping[str, Sequence[str]], exceptions: Mapping[str, str]
) -> Iterator[str]:
    """One line a rule and test."""
    for rule in rules.values():
        found = state(rule, tests, exceptions)
        if found == PROVEN:
            yield from (f"{rule.id:6} {rule.level:11} {test}" for test in tests[rule.id])
        elif found:
            yield f"{rule.id:6} {rule.level:11} {found.upper()}: {exceptions.get(rule.id) or rule.title}"


def counts(rules: Mapping[str, Rule], tests: Mapping[str, Sequence[str]], exceptions: Mapping[str, str]) -> str:
    """The last line, which also stands in README."""
    binding = [rule for rule in rules.values() if rule.must_be_proven]
    found = Counter(state(rule, tests, exceptions) for rule in binding)
    return f"{len(binding)} rules: " + ", ".join(
        f"{found[name]} {name}" for name in (PROVEN, EXPLAINED, DUE_ELSEWHERE, MISSING)
    )
