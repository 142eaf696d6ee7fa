"""What the workers of a stack tell in figures."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from app.metrics import Metric
from app.settings import Settings


def figure(settings: Settings, metric: Metric, worker: int, **labels: str) -> float:
    """A counter or gauge of the `worker`-th orders worker, over all that have these labels.

    Raises:
        OSError: it does not answer.
        KeyError: it tells no such figure.
    """
    url = f"http://127.0.0.1:{settings.ports.metrics_of('orders', worker)}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        page = answer.read().decode()
    name = metric.full_name + "_total" * (metric.kind == "counter")
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    found = [sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()]
    if not found:
        raise KeyError(f"{name} {labels}")
    return float(sum(found))
