"""That each rule's absence would be noticed: a quick part of `python -m tests.mutations`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutations.mutation import Mutation
from tests.mutations.run import ALL, ROOT, copy_of_the_project, mutated, try_out


@pytest.fixture(scope="module")
def copy() -> Iterator[Path]:
    with copy_of_the_project() as folder:
        yield folder


def test_each_has_a_name_of_its_own() -> None:
    assert len({mutation.name for mutation in ALL}) == len(ALL)


@pytest.mark.parametrize("mutation", ALL, ids=lambda mutation: mutation.name)
def test_it_still_applies_and_names_checks_that_there_are(mutation: Mutation) -> None:
    compile(mutated(mutation, (ROOT / mutation.file).read_text(encoding="utf-8")), mutation.file, "exec")
    for check in mutation.checks:
        assert (ROOT / check.split("::")[0]).exists(), f"{mutation.name} names {check}"


@pytest.mark.parametrize("mutation", [each for each in ALL if each.quick], ids=lambda mutation: mutation.name)
def test_its_absence_is_noticed(mutation: Mutation, copy: Path) -> None:
    assert try_out(mutation, copy).caught_by
