"""Every alert is fired by a drill or said to be left; what Prometheus answers is kept with its times."""

from app.drill.alerts import Alerts, states, told
from app.drill.drills.alerts import CASES, LASTING, LEFT, MINUTE, STANDS
from tests.observe import alerts as declared


def test_each_alert_is_fired_by_a_drill_or_named_as_left() -> None:
    fired = {name for case in CASES for name in (*case.alerts, *case.later)}
    names = {alert["alert"] for alert in declared()}
    assert fired | LEFT.keys() == names
    assert not fired & LEFT.keys()
    assert {*LASTING, *MINUTE} <= names
    assert STANDS.keys() <= {case.name for case in CASES}


def test_an_alert_that_fires_somewhere_fires() -> None:
    found = [("WorkerDown", "pending"), ("WorkerDown", "firing"), ("WorkerDown", "pending"), ("KitchenLag", "pending")]
    answer = {"data": {"alerts": [{"labels": {"alertname": name}, "state": state} for name, state in found]}}
    assert states(answer) == {"WorkerDown": "firing", "KitchenLag": "pending"}


def test_what_fired_before_the_fault_does_not_count_as_fired_by_it() -> None:
    alerts = Alerts()
    assert not alerts.is_calm(())  # nobody has answered yet
    alerts.look({"DeadLetters": "firing"}, 1.0)
    assert alerts.is_calm(["DeadLetters"])
    alerts.begin()
    alerts.look({"DeadLetters": "firing", "KafkaDown": "pending"}, 2.0)
    assert not alerts.is_calm(["DeadLetters"])
    alerts.look({"DeadLetters": "firing", "KafkaDown": "firing"}, 4.0)
    assert alerts.missing(["DeadLetters", "KafkaDown"]) == {"DeadLetters"}
    assert alerts.still_firing(["KafkaDown"]) == {"KafkaDown"}
    alerts.look({}, 6.0)
    alerts.look({"KafkaDown": "firing"}, 8.0)
    assert alerts.fired == {"KafkaDown": 4.0}
    assert alerts.still_firing(["DeadLetters"]) == set()


def test_alerts_are_told_in_the_order_in_which_they_fired() -> None:
    assert told({"KafkaDown": 15.52, "AcknowledgementGap": 15.3}, 10.0) == "AcknowledgementGap 5.3, KafkaDown 5.5"
