"""The auditor looks for all orders again, round after round, also while orders never cease."""

from typing import Any

import pytest

from app.audit.auditor import Auditor
from app.audit.figures import Figures
from app.metrics import Metrics
from app.settings import Settings

STARTS = {0: 0}


def test_a_round_ends_where_the_front_was_as_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    figures, read, done = Figures(Metrics()), list[tuple[int, ...]](), list[int]()
    auditor = Auditor(Settings(), figures, lambda seconds: False)

    def read_piece(*piece: int) -> list[Any]:
        read.append(piece)
        return []

    monkeypatch.setattr(auditor, "_read", read_piece)
    monkeypatch.setattr(auditor, "_look", lambda orders: None)
    monkeypatch.setattr(figures, "round_is_done", lambda: done.append(len(read)))

    def check(front: int) -> None:
        auditor._front.at = {0: front}
        auditor._again(STARTS)

    for front in range(10, 70, 10):  # ten orders more at each check
        check(front)
    assert read == [(0, 0, 10), (0, 0, 30), (0, 0, 50)]
    assert done == [1, 2]
