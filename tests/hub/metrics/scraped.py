"""What Prometheus would read."""

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Scraped:
    """A page of /metrics; `scraped(name, label=value)` is the sum of the samples that have these labels, None without any."""

    def __init__(self, text: str) -> None:
        self.samples: Samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        self.names = {name for name, _ in self.samples}

    def __call__(self, name: str, **labels: str) -> float | None:
        found = [
            value for (own, has), value in self.samples.items() if own == name and labels.items() <= dict(has).items()
        ]
        return sum(found) if found else None
