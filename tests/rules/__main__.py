"""`python -m tests.rules [--counts | --missing | --write]`: the table of rules and tests; exit 1 when a rule is missing."""

import re
import sys

from tests.rules.catalogue import README, read_exceptions, read_rules
from tests.rules.collect import by_rule, collect
from tests.rules.report import MISSING, counts, lines, state


def main(options: set[str]) -> int:
    rules, exceptions = read_rules(), read_exceptions()
    tests = by_rule(collect())
    if not options & {"--counts", "--missing"}:
        print("\n".join(lines(rules, tests, exceptions)))
    missing = [rule for rule in rules.values() if state(rule, tests, exceptions) == MISSING]
    if "--missing" in options:
        print("\n".join(f"{rule.id:6} {rule.who:8} {rule.title}" for rule in missing))
    line = counts(rules, tests, exceptions)
    if "--write" in options:
        README.write_text(re.sub(r"^\d+ rules: .*$", line, README.read_text(), flags=re.MULTILINE))
    print(line)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(set(sys.argv[1:])))
