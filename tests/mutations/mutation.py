"""One rule taken out of the real code."""

from dataclasses import dataclass

UNIT = "tests/unit/"
DECISION = "tests/property/test_decide.py"
MODEL = "tests/property/test_real_worker.py"  # the worker that ships, against the model of the log


@dataclass(frozen=True)
class Mutation:
    """`old`, which stands once in `file`, becomes `new`; one of the `checks` (pytest's names) must then fail.

    `breaks` says which rule is gone. `quick` ones are tried in each run of the tests.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str
    checks: tuple[str, ...]
    quick: bool = False
