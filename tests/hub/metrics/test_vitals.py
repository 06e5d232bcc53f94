"""How a process fares, as numbers that only grow."""

from prometheus_client import CollectorRegistry

from hub.metrics.vitals import Vitals

LINES = "ocpihub_dropped_log_lines_total"


def test_a_hub_that_begins_anew_in_its_process_counts_no_log_line_twice() -> None:
    """Workers go on counting in their files, and what the log lost is of the process."""
    dropped, counted = [0], []
    for _ in range(2):
        registry = CollectorRegistry()
        vitals = Vitals(
            registry,
            waiting={},
            failing=lambda: 0,
            standstills=lambda: 0,
            lines_dropped=lambda: dropped[0],
            turned_away={},
            reasons=(),
        )
        for _ in range(2):
            dropped[0] += 2
            vitals.note()
            vitals.note()
        counted.append(registry.get_sample_value(LINES))
    assert counted == [4, 4]
