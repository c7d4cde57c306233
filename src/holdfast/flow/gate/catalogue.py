"""The catalogue of rules: their names, in the order of a promotion's steps, and what has to be collected for each.

Policy reads it to know which names there are, the examination to know how far it must go, and the judge to know the
order. What a rule does stands in a module of its own; `rules.RULES` brings the two together.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["CATALOGUE", "RULE_NAMES", "Need", "Rule", "asked_by", "in_order", "needed", "usual"]


class Need(Enum):
    """What a rule looks at beside the manifest, and what therefore has to be collected."""

    OPENED = auto()
    """The candidate's answers to its frozen rows."""
    COMPARED = auto()
    """Those of the version that holds the stage, too."""
    TIMED = auto()
    """How long single rows take, and batches of them."""
    SIGNED = auto()
    """Who vouches for the candidate."""
    REHEARSED = auto()
    """The last rehearsal of going back to the version that holds the stage."""
    SHADOWED = auto()
    """How the newest shadow of the candidate stands."""
    BASELINE = auto()
    """What the version that holds the stage says it is."""
    CARD = auto()
    """The model card."""
    FORMER = auto()
    """The frozen rows of the version that holds the stage, and the candidate's answers to those that it lacks."""
    TRAINED = auto()
    """What the candidate was trained on."""
    EARLIER = auto()
    """What the version that holds the stage was trained on, and rows drawn from both."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, as far as others have to know it.

    Attributes:
        name: how policy and findings call it.
        step: of the promotion.
        asks: its question.
        needs: what has to be collected for it.
        stages: the built-in stages that ask it by default; `production` stands for every stage that is not built in.
        keys: the keys of policy that ask it wherever they are written: a bound that nobody holds protects nobody.
    """

    name: str
    step: int
    asks: str
    needs: frozenset[Need] = frozenset()
    stages: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()


_BUILT_IN = frozenset({"staging", "archived"})
"""Where less than everything is asked by default: staging is there to try a version out, archived serves nobody."""

_PRODUCTION = frozenset({"production"})
_TRIED = frozenset({"production", "staging"})
_EVERYWHERE = frozenset({"production", "staging", "archived"})

_SIGNED = frozenset({Need.SIGNED})
_OPENED = frozenset({Need.OPENED})
_COMPARED = frozenset({Need.OPENED, Need.COMPARED})

CATALOGUE = (
    Rule(
        "completeness",
        2,
        "are all five parts there, and environment, schema, metrics and holdout?",
        stages=_TRIED,
    ),
    Rule("integrity", 3, "is every byte what its digest says?", stages=_EVERYWHERE),
    Rule(
        "signature",
        3,
        "have enough of the keys that the policy trusts signed exactly these files?",
        _SIGNED,
        keys=frozenset({"signed_by"}),
    ),
    Rule("formats", 4, "could opening any of its files run hidden code?", stages=_TRIED),
    Rule("opens", 5, "does it open in its own environment, and answer?", _OPENED, _TRIED),
    Rule(
        "smoke",
        6,
        "does it give the outputs and metrics again that were recorded when it was registered?",
        _OPENED,
        _TRIED,
    ),
    Rule(
        "not_worse",
        7,
        "is the metric not below that of the version that holds the stage, on the same rows?",
        _COMPARED,
        _PRODUCTION,
    ),
    Rule(
        "groups",
        7,
        "is no group of rows answered worse? The true answers are groups too, always",
        _COMPARED,
        _PRODUCTION,
    ),
    Rule(
        "guards",
        7,
        "is no metric that policy guards worse than that of the version that holds the stage?",
        _COMPARED,
        keys=frozenset({"guards"}),
    ),
    Rule("metrics_min", 7, "are the floors reached?", _OPENED, _PRODUCTION),
    Rule(
        "latency",
        7,
        "are single rows, and batches, answered within the budgets?",
        _COMPARED | {Need.TIMED},
        _PRODUCTION,
    ),
    Rule(
        "memory",
        7,
        "does it need no more memory than is allowed?",
        _COMPARED,
        keys=frozenset({"memory_bytes_max", "memory_ratio_max"}),
    ),
    Rule(
        "rehearsed",
        7,
        "was going back to the version that holds the stage rehearsed lately, and did it work?",
        frozenset({Need.REHEARSED}),
        keys=frozenset({"rehearsal_days_max"}),
    ),
    Rule(
        "shadow",
        7,
        "on copies of real requests, does it answer as the version that holds the stage, and never fail alone?",
        frozenset({Need.SHADOWED}),
        keys=frozenset({"shadow_requests_min", "shadow_agreement_min", "shadow_errors_max"}),
    ),
    Rule(
        "schema",
        7,
        "may the clients of the version that holds the stage go on unchanged?",
        _COMPARED | {Need.BASELINE},
        _PRODUCTION,
    ),
    Rule("semver", 7, "does the semantic version say how much changed?", frozenset({Need.BASELINE})),
    Rule(
        "threshold",
        7,
        "is the pinned cut-off still a good one on the frozen rows?",
        _COMPARED | {Need.BASELINE},
    ),
    Rule("calibration", 7, "does a score of 0.8 come true in eight of ten rows?", _COMPARED),
    Rule("card", 7, "does the model card say what people have to know?", frozenset({Need.CARD})),
    Rule(
        "leakage",
        7,
        "are none of the holdout's rows among what was trained on, but for those that repeat by chance?",
        frozenset({Need.TRAINED}),
        _PRODUCTION,
    ),
    Rule(
        "holdout",
        7,
        "what became of the rows that the version that holds the stage was judged on, and how often were these used?",
        _OPENED | {Need.FORMER},
        _PRODUCTION,
    ),
    Rule(
        "drift",
        7,
        "is the training data distributed as that of the version that holds the stage?",
        frozenset({Need.TRAINED, Need.EARLIER}),
    ),
    Rule("approver", 8, "do enough people stand behind it?", stages=_EVERYWHERE),
)
"""Every rule, in the order of the promotion's steps; the table of docs/reference/policy.md says the same."""

RULE_NAMES = tuple(rule.name for rule in CATALOGUE)
"""Their names, in that order."""


_OWN_STEP = 7
"""Where a project's own rules are asked: after those of the same step."""


def in_order(names: Collection[str]) -> tuple[str, ...]:
    """These rules, each once, in the order of the steps; those of a project's own by name."""
    before = tuple(rule.name for rule in CATALOGUE if rule.step <= _OWN_STEP and rule.name in names)
    after = tuple(rule.name for rule in CATALOGUE if rule.step > _OWN_STEP and rule.name in names)
    return before + tuple(sorted(set(names) - set(RULE_NAMES))) + after


def usual(stage: str) -> tuple[str, ...]:
    """What a stage asks when its policy names no rules."""
    kind = stage if stage in _BUILT_IN else "production"
    return tuple(rule.name for rule in CATALOGUE if kind in rule.stages)


def asked_by(keys: Collection[str]) -> tuple[str, ...]:
    """The rules that these keys of a stage's table ask, without their being named."""
    return tuple(rule.name for rule in CATALOGUE if rule.keys & set(keys))


def needed(names: Collection[str]) -> frozenset[Need]:
    """What has to be collected for these rules together; a rule of the project's own may look at both versions."""
    own = _COMPARED if set(names) - set(RULE_NAMES) else frozenset()
    return own.union(*(rule.needs for rule in CATALOGUE if rule.name in names))
