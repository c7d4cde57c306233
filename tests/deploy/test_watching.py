"""The dashboard and the rules name nothing that no replica shows, and what they show can be told apart."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from holdfast.serving import shadow, showing, tallying
from holdfast.serving.meters import COUNTED
from holdfast.serving.monitor import CALLERS

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD = DEPLOY / "grafana/holdfast-serving.json"
RULES = DEPLOY / "prometheus/holdfast.rules.yml"

SHOWN = {*COUNTED, *showing.MEASURED, *shadow.MEASURED, *tallying.MEASURED}
NAME = re.compile(r"holdfast_[a-z_]+")
ENDINGS = ("_total", "_bucket", "_count", "_sum", "")


def board() -> Any:
    return json.loads(BOARD.read_text(encoding="utf-8"))


def asked() -> Iterator[str]:
    """Every expression that Prometheus is asked."""
    found = board()
    for panel in found["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["expr"] for one in found["annotations"]["list"])
    yield from (one["query"] for one in found["templating"]["list"])
    yield from (rule["expr"] for rule in rules())


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def is_shown(name: str) -> bool:
    return any(name.endswith(ending) and name.removesuffix(ending) in SHOWN for ending in ENDINGS)


def test_every_metric_that_is_asked_for_is_shown_by_a_replica() -> None:
    assert sorted({name for text in asked() for name in NAME.findall(text) if not is_shown(name)}) == []


def test_every_metric_of_a_replica_is_on_the_dashboard() -> None:
    text = BOARD.read_text(encoding="utf-8")
    assert sorted(name for name in SHOWN if name not in text) == []


def test_panels_stand_beside_each_other_and_say_their_unit() -> None:
    found = board()["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in found]
    assert len(set(places)) == len(found) == len({panel["id"] for panel in found})
    assert all(panel["title"] and panel["fieldConfig"]["defaults"]["unit"] for panel in found)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_a_rule_has_a_summary_and_a_severity_and_its_parentheses_close(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_rule_of_errors_leaves_out_what_callers_do_wrong() -> None:
    (errors,) = [rule["expr"] for rule in rules() if rule["alert"] == "HoldfastErrors"]
    assert set(re.findall(r'code!~"([^"]*)"', errors)[0].split("|")) == CALLERS


def test_the_reference_names_every_metric_of_a_replica() -> None:
    text = (DEPLOY.parent / "docs/serving.md").read_text(encoding="utf-8")
    assert sorted(name for name in SHOWN if f"`{name}" not in text) == []
