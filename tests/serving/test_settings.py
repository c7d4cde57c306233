"""What a project says of its serving, read strictly."""

import tomllib

import pytest

from holdfast.errors import UsageError
from holdfast.flow.gate import Policy
from holdfast.names import ModelName
from holdfast.serving.alert_rules import BUILT_IN
from holdfast.serving.settings import ServeSettings, WatchSettings

CHURN = ModelName("churn")


def settings(text: str, model: ModelName | None = CHURN) -> ServeSettings:
    return ServeSettings.of(tomllib.loads(text), model, "holdfast.toml")


def test_a_file_that_says_nothing_of_serving_has_the_defaults() -> None:
    assert settings("") == ServeSettings()
    assert settings("").watch == WatchSettings()


def test_a_model_s_own_table_is_laid_over_the_general_one_key_by_key() -> None:
    found = settings(
        "[serve]\ntracing = true\n[serve.watch]\nrows_per_second_max = 7\nrollbacks_per_day_max = 3\n"
        '[model.churn.serve.watch]\nrollback_on = ["errors"]\nrollbacks_per_day_max = 2\n'
    )
    assert found.tracing
    assert found.watch == WatchSettings(rows_per_second_max=7, rollbacks_per_day_max=2, rollback_on=("errors",))


def test_another_model_s_table_says_nothing() -> None:
    assert settings("[model.fraud.serve]\ntracing = true\n") == ServeSettings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[serve]\ntraceing = true\n", "[serve] has the unknown key 'traceing'"),
        ("[serve.watch]\nrollback = []\n", "[serve.watch] has the unknown key 'rollback'"),
        ("[model.churn.serve.watch]\nrows_per_second_max = -1\n", "[model.churn.serve.watch] rows_per_second_max = -1"),
        ("[serve]\nwatch = 3\n", "[serve.watch] is not a table"),
        ('[serve.watch]\nrollback_on = ["smells"]\n', "[model.churn.serve.watch] rollback_on names 'smells'"),
        ('[serve.watch]\nwebhooks = ["example.org"]\n', "[serve.watch] webhooks"),
        ('[[serve.watch.alerts]]\nname = "slow"\nmetric = "speed"\nabove = 1\n', "alerts slow looks at 'speed'"),
        ('[[serve.watch.alerts]]\nname = "slow"\nmetric = "requests"\n', "slow has to say either above or below"),
        ('[[serve.watch.alerts]]\nname = "x"\nmetric = "requests"\nabove = nan\n', "x has above = nan"),
        (
            '[[serve.watch.alerts]]\nname = "x"\nmetric = "requests"\nabove = 1\nwindow_minutes = 2\n',
            "x has window_minutes = 2",
        ),
        ('[[serve.watch.alerts]]\nname = "x"\nmetric = "requests"\nabove = 1\nunder = 2\n', "unknown key 'under'"),
    ],
)
def test_a_mistake_is_an_error_that_names_the_key(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"holdfast\.toml") as caught:
        settings(text)
    assert said in caught.value.message


def test_a_rule_may_be_named_for_a_rollback_when_it_is_the_project_s_own() -> None:
    found = settings(
        '[serve.watch]\nrollback_on = ["slow"]\n[[serve.watch.alerts]]\nname = "slow"\nmetric = "latency_ms_p99"\n'
        "above = 250\nwindow_minutes = 1\nfor_seconds = 30\n"
    )
    assert found.watch.alerts[0].to_json() == {
        "name": "slow",
        "metric": "latency_ms_p99",
        "above": 250.0,
        "window_minutes": 1,
        "for_seconds": 30.0,
        "requests_min": 1,
    }


def test_the_policy_lets_the_tables_of_serving_stand() -> None:
    policy = Policy.parse(
        "[serve]\ntracing = true\n[model.churn.serve.watch]\nsilent = ['drift']\n", where="holdfast.toml"
    )
    assert ServeSettings.of(policy.document, CHURN, policy.where).watch.silent == ("drift",)


def test_what_is_not_known_breaks_no_rule() -> None:
    assert not any(rule.broken_by(None) for rule in BUILT_IN)
    assert BUILT_IN[0].broken_by(0.06)
    assert not BUILT_IN[0].broken_by(0.05)
