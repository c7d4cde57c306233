"""Policy: what is not said protects, and what is misspelt is refused where it stands."""

import re
from pathlib import Path

import pytest

from holdfast.errors import PermissionRefused, UsageError
from holdfast.flow.gate.catalogue import CATALOGUE, RULE_NAMES, in_order, usual
from holdfast.flow.gate.policy import POLICY_STUB, Policy
from holdfast.flow.gate.rules import RULES
from holdfast.flow.gate.stage_policy import StagePolicy, stage_keys
from holdfast.names import ModelName, StageName
from holdfast.upkeep.keep_rules import KeepRules

CHURN, FRAUD = ModelName("churn"), ModelName("fraud")
STAGING, PRODUCTION, ARCHIVED = StageName("staging"), StageName("production"), StageName("archived")


REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "policy.md"


def parse(text: str) -> Policy:
    return Policy.parse(text, where="holdfast.toml")


def test_a_policy_that_says_nothing_protects_production_with_every_rule() -> None:
    asked = Policy().for_stage(CHURN, PRODUCTION)
    assert asked.rules == usual("production")
    assert (asked.margin, asked.group_margin, asked.approvals_min) == (0.0, 0.05, 1)
    assert asked.rows_min > 0
    assert asked.group_rows_min > 0


def test_every_rule_that_can_be_named_is_there_and_in_the_order_of_the_steps() -> None:
    assert tuple(RULES) == RULE_NAMES


def test_the_reference_says_of_every_rule_what_the_catalogue_says() -> None:
    table = REFERENCE.read_text(encoding="utf-8").partition("\n## Rules\n")[2]
    for rule in CATALOGUE:
        assert f"| `{rule.name}` | {rule.step} | {rule.asks}" in table


def test_every_key_of_a_stage_stands_in_the_reference() -> None:
    table = REFERENCE.read_text(encoding="utf-8").partition("\n## Keys of `[gate.STAGE]`\n")[2].partition("\n## ")[0]
    assert set(stage_keys()) == set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_a_stage_of_ones_own_is_protected_like_production() -> None:
    policy = parse('[stages]\nnames = ["canary", "production"]')
    assert policy.stages == (StageName("canary"), PRODUCTION)
    assert policy.for_stage(CHURN, StageName("canary")).rules == usual("production")


def test_staging_and_archived_ask_less_but_never_nothing() -> None:
    assert "smoke" in Policy().for_stage(CHURN, STAGING).rules
    assert "not_worse" not in Policy().for_stage(CHURN, STAGING).rules
    assert Policy().for_stage(CHURN, ARCHIVED).rules == ("integrity", "approver")


def test_no_file_is_the_defaults(tmp_path: Path) -> None:
    assert Policy.read(tmp_path / "holdfast.toml") == Policy()


def test_a_file_that_cannot_be_read_is_not_taken_for_no_file(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").mkdir()
    with pytest.raises((UsageError, PermissionRefused), match=re.escape("holdfast.toml")):
        Policy.read(tmp_path / "holdfast.toml")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_bytes(b'[stages]\nnames = ["\xff"]')
    with pytest.raises(UsageError, match="not UTF-8"):
        Policy.read(tmp_path / "holdfast.toml")


def test_the_table_of_a_model_wins_over_that_of_the_stage_key_by_key() -> None:
    policy = parse(
        """
        [gate.production]
        margin = 0.01
        second_person = true

        [model.churn.gate.production]
        margin = 0.02
        metrics_min = { recall = 0.9 }
        """
    )
    churn, fraud = policy.for_stage(CHURN, PRODUCTION), policy.for_stage(FRAUD, PRODUCTION)
    assert (churn.margin, churn.second_person, churn.metrics_min) == (0.02, True, {"recall": 0.9})
    assert (fraud.margin, fraud.second_person, fraud.metrics_min) == (0.01, True, {})
    assert policy.for_stage(CHURN, STAGING).second_person is False


def test_the_stub_of_a_new_project_says_nothing_but_the_defaults() -> None:
    assert parse(POLICY_STUB).for_stage(CHURN, PRODUCTION) == StagePolicy()
    spoken = re.sub(r"^# (?=[a-z_]+ = )", "", POLICY_STUB, flags=re.MULTILINE)
    assert spoken != POLICY_STUB
    assert parse(spoken).for_stage(CHURN, PRODUCTION) == StagePolicy()
    assert parse(spoken).stages == Policy().stages
    rules = KeepRules.parse(parse(spoken).document["retention"], "holdfast.toml", Policy().stages)
    assert rules == KeepRules(stages=(PRODUCTION,), archive="cold")


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("[gat.production]", "holdfast.toml", "gat"),
        ("[stages]\nname = []", "holdfast.toml [stages]", "name"),
        ("[gate.prodction]", "holdfast.toml [gate]", "prodction"),
        ("[gate.production]\nmargn = 0.1", "holdfast.toml [gate.production]", "margn"),
        ("[model.churn]\ngat = 1", "holdfast.toml [model.churn]", "gat"),
        ("[model.churn.gate.prod]", "holdfast.toml [model.churn.gate]", "prod"),
        ("[model.churn.gate.staging]\nrule = []", "holdfast.toml [model.churn.gate.staging]", "rule"),
    ],
)
def test_a_word_that_is_not_known_is_refused_with_its_place(text: str, place: str, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.message == f"{place} has the unknown key {word!r}"
    assert "Known: " in caught.value.hint


def test_the_hint_offers_the_nearest_word() -> None:
    with pytest.raises(UsageError) as caught:
        parse("[gate.production]\nsecond_persn = true")
    assert "Did you mean second_person?" in caught.value.hint


WRONG = [
    'rules = "completeness"',
    'rules = ["completness"]',
    "rules = [1]",
    'rules_also = ["completness"]',
    'metric = "recal"',
    "metric = 1",
    'margin = "0.1"',
    "margin = true",
    "margin = -0.1",
    "margin = nan",
    "margin = inf",
    "group_margin = -1",
    "rows_min = 2.5",
    "rows_min = true",
    "group_rows_min = 0",
    'groups = "plan"',
    "metrics_min = 0.9",
    'metrics_min = { recall = "high" }',
    'metrics_min = { recall = "0.9" }',
    "metrics_min = { recall = nan }",
    "metrics_min = { recall = true }",
    "metrics_min = { recal = 0.9 }",
    "guards = 1",
    "guards = { recal = 0.1 }",
    "guards = { recall = -0.1 }",
    "guards = { recall = nan }",
    'guards = { recall = "0.1" }',
    "guards = { recall = { margins = 0.1 } }",
    "guards = { recall = { margin = true } }",
    "cost = 1.0",
    "cost = { false_positive = 1.0 }",
    "cost = { over = -1.0, under = 1.0 }",
    'cost = { file = "/etc/passwd", function = "costs" }',
    "custom = 1",
    "custom = { fairness = 1 }",
    "latency_ms_p95_max = -1",
    'executes_code = "never"',
    'executes_code = ["deny"]',
    "executes_code = true",
    'formats_allow = "mypkg.model.Net"',
    'formats_allow = ["os.system"]',
    'formats_allow = ["functools.partial"]',
    'formats_allow = ["Net"]',
    'formats_allow = ["mypkg.*"]',
    'formats_allow = ["sha256:12"]',
    "approvals_min = 0",
    "approvals_min = 1.0",
    "second_person = 1",
    "worker_memory_bytes_max = 1000",
    "worker_memory_bytes_max = 1e9",
    "worker_seconds_max = 0",
    'worker_network = "no"',
    'second_person = "yes"',
]


@pytest.mark.parametrize("line", WRONG)
def test_a_value_of_the_wrong_kind_is_refused_with_its_place_and_what_would_do(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(f"[model.churn.gate.production]\n{line}")
    assert caught.value.message.startswith(f"holdfast.toml [model.churn.gate.production] {line.partition(' ')[0]} = ")
    assert caught.value.hint.startswith("It takes ")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[gate.production]\nrules = []", "has no rules"),
        ("gate = 1", "[gate] is not a table"),
        ("[gate]\nproduction = 1", "[gate.production] is not a table"),
        ("model = 1", "[model] is not a table"),
        ("[model]\nchurn = 1", "[model.churn] is not a table"),
        ('[model."Not a name"]', "cannot be the name of a model"),
        ("rules = 1", "[rules] is not a table"),
        ("[rules]\nfairness = 1", "[rules.fairness] is not a table"),
        ("[rules.fairness]", "[rules.fairness] does not say where its code is"),
        ('[rules.fairness]\nfile = "a.py"', "[rules.fairness] does not say where its code is"),
        ('[rules.fairness]\nentry = "a:b"\nfile = "a.py"\nfunction = "b"', "does not say where its code is"),
        ('[rules.fairness]\nfile = "../a.py"\nfunction = "b"', "[rules.fairness] file = '../a.py' is not valid"),
        ('[rules.fairness]\nfile = "/a.py"\nfunction = "b"', "[rules.fairness] file = '/a.py' is not valid"),
        ('[rules.fairness]\nfile = "a.py"\nfunction = "b()"', "[rules.fairness] function = 'b()' is not valid"),
        ('[rules.fairness]\nentry = "a.b"', "[rules.fairness] entry = 'a.b' is not valid"),
        ('[rules.fairness]\nentry = "a:b"\nseconds_max = 0', "[rules.fairness] seconds_max = 0 is not valid"),
        ('[rules.fairness]\nentry = "a:b"\nmemory_bytes_max = 1', "memory_bytes_max = 1 is not valid"),
        ('[rules.fairness]\nentry = "a:b"\ndigest = "sha256:12"', "digest = 'sha256:12' is not valid"),
        ('[rules.fairness]\nentri = "a:b"', "[rules.fairness] has the unknown key 'entri'"),
        ('[rules.smoke]\nentry = "a:b"', "'smoke' is a name of Holdfast's own"),
        ('[rules.cost]\nentry = "a:b"', "'cost' is a name of Holdfast's own"),
        ('[rules."Own rule"]\nentry = "a:b"', "'Own rule' cannot be the name of a rule"),
        ("[gate.production.custom.fairness]\nx = 1", "custom.fairness is for a rule that nobody has"),
        ('[gate.production]\nmetric = "cost"', "judges by cost, and nothing says what wrong answers cost"),
        ("[gate.production]\nguards = { cost = 0.1 }", "judges by cost, and nothing says"),
        ("[model.churn.gate.production]\nmetrics_min = { cost = 0.1 }", "judges by cost, and nothing says"),
        ("stages = []", "[stages] is not a table"),
        ('[stages]\nnames = "production"', "[stages] names = 'production' is not valid"),
        ("[stages]\nnames = []", "[stages] names = [] is not valid"),
        ('[stages]\nnames = ["Production"]', "cannot be the name of a stage"),
        ('[stages]\nnames = ["latest"]', "is never a name"),
    ],
)
def test_a_policy_that_protects_nothing_or_makes_no_sense_is_refused(text: str, what: str) -> None:
    with pytest.raises(UsageError, match=re.escape(what)) as caught:
        parse(text)
    assert caught.value.message.startswith("holdfast.toml")


@pytest.mark.parametrize(
    "line",
    [
        f"margin = 1{'0' * 400}",
        f"margin = 1{'0' * 5000}",
        f"metrics_min = {{ recall = 1{'0' * 400} }}",
        f"rows_min = 1{'0' * 30}",
        f"worker_memory_bytes_max = 1{'0' * 30}",
        "worker_seconds_max = 1e300",
        f"rules = {'[' * 30_000}",
        f"custom.{'.'.join('a' * 5_000)} = 1",
    ],
    ids=["margin", "digits", "floor", "rows", "memory", "seconds", "lists", "tables"],
)
def test_a_policy_beyond_all_measure_is_refused_and_ends_nothing(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        Policy.parse(f"[gate.production]\n{line}", where="holdfast.toml")
    assert len(caught.value.message) < 1_000


def test_a_line_that_is_not_toml_is_named() -> None:
    with pytest.raises(UsageError, match=r"holdfast\.toml is not TOML: .*line 2"):
        parse("[gate.production]\nmargin 0.1")


def test_rules_are_asked_in_the_order_of_the_steps_however_they_are_written() -> None:
    policy = parse('[gate.production]\nrules = ["approver", "smoke", "integrity", "smoke"]')
    assert policy.for_stage(CHURN, PRODUCTION).rules == ("integrity", "smoke", "approver")


def test_rules_can_be_asked_beside_the_usual_ones() -> None:
    policy = parse('[gate.staging]\nrules_also = ["latency", "smoke"]\n[gate.archived]\nrules_also = []')
    assert policy.for_stage(CHURN, STAGING).rules == in_order({*usual("staging"), "latency"})
    assert policy.for_stage(CHURN, ARCHIVED).rules == usual("archived")


def test_naming_a_guard_asks_the_rule_whatever_the_other_rules_are() -> None:
    policy = parse(
        "[gate.production]\nguards = { recall = 0.02, f1 = {} }\n"
        '[gate.staging]\nrules = ["integrity"]\nguards = { recall = { harm_margin = 0 } }'
    )
    production, staging = policy.for_stage(CHURN, PRODUCTION), policy.for_stage(CHURN, STAGING)
    assert production.rules == in_order({*usual("production"), "guards"})
    assert production.guards == {"recall": {"margin": 0.02}, "f1": {}}
    assert staging.rules == ("integrity", "guards")
    assert staging.guards == {"recall": {"harm_margin": 0.0}}
    with pytest.raises(UsageError, match="has no rules"):
        parse("[gate.production]\nrules = []\nguards = { recall = 0.02 }")


def test_a_cost_may_stand_in_the_table_of_the_stage_and_be_judged_by_in_that_of_the_model() -> None:
    policy = parse(
        "[gate.production]\ncost = { false_positive = 1, false_negative = 5 }\n"
        '[model.churn.gate.production]\nmetric = "cost"'
    )
    asked = policy.for_stage(CHURN, PRODUCTION)
    assert asked.metric == "cost"
    assert asked.to_json()["cost"] == {"false_positive": 1.0, "false_negative": 5.0}


def test_rules_of_ones_own_are_asked_before_the_approver_and_kept_with_their_sources() -> None:
    policy = parse(
        '[rules.toxicity]\nentry = "mypkg.gates:Rule.check"\nseconds_max = 5\n'
        '[rules.fairness]\nfile = "gates/fairness.py"\nfunction = "check"\n'
        '[gate.production]\nrules_also = ["toxicity", "fairness"]\n'
        "custom.fairness = { share_min = 0.5, since = 2026-01-01 }\n"
        '[gate.staging]\nrules = ["integrity", "toxicity"]'
    )
    asked = policy.for_stage(CHURN, PRODUCTION)
    assert asked.rules == (*usual("production")[:-1], "fairness", "toxicity", "approver")
    kept = asked.to_json()
    assert kept["sources"]["toxicity"]["entry"] == "mypkg.gates:Rule.check"
    assert kept["sources"]["fairness"]["file"] == "gates/fairness.py"
    assert kept["custom"] == {"fairness": {"share_min": 0.5, "since": "2026-01-01"}}
    assert set(policy.for_stage(CHURN, STAGING).sources) == {"toxicity"}
    with pytest.raises(UsageError, match="rules_also"):
        parse('[gate.production]\nrules_also = ["toxicity"]')


def test_a_verdict_can_carry_the_policy() -> None:
    document = StagePolicy(groups=("plan",), metrics_min={"f1": 0.5}).to_json()
    assert document["rules"] == list(usual("production"))
    assert document["groups"] == ["plan"]
    assert document["metrics_min"] == {"f1": 0.5}
