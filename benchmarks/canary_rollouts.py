"""How often a canary is aborted for nothing, and how many requests it takes to find a regression: simulated rollouts.

    python benchmarks/canary_rollouts.py [--runs 4000] [--table NAME] [--json FILE] [--write docs/serving.md]

Each rollout is drawn with a seed of its own table and row, and looked at after every request by what a replica looks
with: `holdfast.statistics`. Where that would take hours in pure Python, the same bets are added up with numpy, and the
last look of every rollout is held against the function that replicas call. Beside it stands what is often done: a test
for one look (the difference of two shares over its standard error), taken every 500 requests.

`--write` puts the tables into a document, between the comments that name them.
"""

import argparse
import json
import re
import time
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from holdfast.serving.counting import LATENCY_EDGES_SECONDS, Counted
from holdfast.serving.judging import Outcome, judge
from holdfast.serving.plan import CanaryPlan, Guard, Step
from holdfast.statistics.detection import requests_to_detect, stopping_line
from holdfast.statistics.means import NUMBERS_MIN, Means, Sums, mean_difference
from holdfast.statistics.ordered import TOLERATED, Bets, Histograms, moved, score_bets, slow_bets, slower
from holdfast.statistics.sequential import EVIDENCE_MAX, RELATIVE_RISKS, Counts, error_bets, error_evidence

SEED = 20_260_101
RUNS = 4_000
PEEK_REQUESTS = 500
ALPHAS = (0.01, 0.05)
RATES = (0.001, 0.01, 0.05, 0.3)
SHARES = (0.01, 0.05, 0.1, 0.5)
REQUESTS = 100_000
REGRESSIONS = ((0.01, 0.5), (0.01, 0.05), (0.01, 0.02), (0.001, 0.01))
WATCHED_SHARES = (0.1, 0.05)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Table:
    """A table of the document.

    Attributes:
        name: in the comments around it.
        head: its columns.
        rows: its cells.
    """

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """As Markdown."""
        ruler = ("---", *["--:"] * (len(self.head) - 1))
        return "\n".join(f"| {' | '.join(row)} |" for row in (self.head, ruler, *self.rows))


def seeded(*what: object) -> np.random.Generator:
    """Chance of its own for each cell, so that each can be drawn again alone."""
    return np.random.default_rng([SEED, zlib.crc32(repr(what).encode())])


def percent(part: float) -> str:
    """A share, to a tenth of a percent."""
    return f"{part:.1%}"


# Errors, one step: the evidence changes with errors alone, and of each the side is drawn.


@cache
def line(share: float, alpha: float, errors: int) -> NDArray[np.int64]:
    """How many of so many errors must be the candidate's; by the function that replicas call."""
    return np.fromiter(islice(stopping_line(share, alpha), errors), np.int64, errors)


def aborts(rate: float, share: float, alpha: float, runs: int) -> float:
    """Rollouts of `REQUESTS` in which both fail equally often, that are aborted."""
    chance = seeded("aborts", rate, share, alpha)
    stopped, at_once = 0, max(1, 20_000_000 // int(REQUESTS * rate * 1.3 + 50))
    for start in range(0, runs, at_once):
        count = min(at_once, runs - start)
        errors = chance.binomial(REQUESTS, rate, count)
        mine = np.cumsum(chance.random((count, errors.max()), np.float32) < share, axis=1, dtype=np.int32)
        reached = mine >= line(share, alpha, 1 << int(np.ceil(np.log2(errors.max()))))[: errors.max()]
        stopped += int((np.where(reached.any(axis=1), reached.argmax(axis=1), REQUESTS) < errors).sum())
    return stopped / runs


def peeked(p0: float, p1: float, share: float, alpha: float, runs: int) -> Floats:
    """The request at which a test for one look first finds the candidate worse; infinite where it never does."""
    chance = seeded("peeked", p0, p1, share, alpha)
    looks = REQUESTS // PEEK_REQUESTS
    mine = chance.binomial(PEEK_REQUESTS, share, (runs, looks))
    failed = chance.binomial(mine, p1).cumsum(axis=1)
    others_failed = chance.binomial(PEEK_REQUESTS - mine, p0).cumsum(axis=1)
    mine = mine.cumsum(axis=1)
    others = np.arange(1, looks + 1) * PEEK_REQUESTS - mine
    pooled = (failed + others_failed) / (mine + others)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = (failed / mine - others_failed / others) / np.sqrt(pooled * (1 - pooled) * (1 / mine + 1 / others))
    found: Floats = first(np.nan_to_num(far) >= NormalDist().inv_cdf(1 - alpha)) * PEEK_REQUESTS
    return found


def first(reached: Flags) -> Floats:
    """The place, from 1, at which each row is first true; infinite where it never is."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)


def found_after(p0: float, p1: float, share: float, alpha: float, runs: int) -> Floats:
    """The request at which each rollout is aborted."""
    chance = seeded("found", p0, p1, share, alpha)
    failing = share * p1 + (1 - share) * p0
    slowest = requests_to_detect(p0, p1, share, alpha, 0.999)
    assert slowest is not None
    errors = int(slowest * failing * 1.2) + 50
    needed = line(share, alpha, errors)
    found = []
    for start in range(0, runs, 500):
        count = min(500, runs - start)
        mine = np.cumsum(chance.random((count, errors)) < share * p1 / failing, axis=1)
        at = chance.geometric(failing, (count, errors)).cumsum(axis=1)
        place = first(mine >= needed)
        stopped = at[np.arange(count), np.where(np.isfinite(place), place - 1, 0).astype(int)]
        found.append(np.where(np.isfinite(place), stopped, np.inf))
    return np.concatenate(found)


# Errors, several steps, rates that move, users that stay on one side.


def by_steps(steps: NDArray[np.int64], mine: Flags, shares: Sequence[float], alpha: float) -> bool:
    """Whether evidence over errors, in the order in which they came, ever is enough.

    Args:
        steps: at which each came.
        mine: whether each was the candidate's.
        shares: of the steps.
        alpha: the level.
    """
    bets = np.array([error_bets(share) for share in shares])
    logs = bets[steps, :, np.where(mine, 0, 1)].cumsum(axis=0)
    if not len(logs):
        return False
    counted = [
        Counts(int((mine & (steps == at)).sum()), int((~mine & (steps == at)).sum()), share)
        for at, share in enumerate(shares)
    ]
    seen = np.logaddexp.reduce(logs, axis=1) - np.log(len(RELATIVE_RISKS))
    assert_as_replicas_say(seen[-1], error_evidence(counted))
    return bool((seen >= -np.log(alpha)).any())


def assert_as_replicas_say(logarithm: float, evidence: float) -> None:
    """The sums made here are those that replicas make."""
    assert np.isclose(np.exp(min(logarithm, _LOG_MAX)), evidence, rtol=1e-6)


_LOG_MAX = np.log(EVIDENCE_MAX)


def moving_rates(alpha: float, runs: int) -> tuple[float, float]:
    """Steps of 1, 10 and 50 % while the rate of both goes up and down by the hour: by steps, and all added up."""
    chance = seeded("moving", alpha)
    shares, requests = (0.01, 0.1, 0.5), 20_000
    stopped = naive = 0
    for _ in range(runs):
        hours = np.arange(3 * requests) / requests
        rate = 0.01 * (1 + 0.9 * np.sin(7 * hours)) * np.where(hours > 2, 8, 1)
        failed = np.flatnonzero(chance.random(3 * requests) < rate)
        steps = failed // requests
        mine = chance.random(len(failed)) < np.array(shares)[steps]
        stopped += by_steps(steps, mine, shares, alpha)
        observed = float(np.mean(shares))
        naive += by_steps(np.zeros_like(steps), mine, (observed,), alpha)
    return stopped / runs, naive / runs


def sticky(alpha: float, runs: int, *, better: bool = False) -> tuple[float, float]:
    """Steps of 5 and 25 % by user, of whom a few ask most and a few always fail: first errors, and all errors."""
    chance = seeded("sticky", alpha, better)
    shares, users, requests = (0.05, 0.25), 2_000, 20_000
    stopped = naive = 0
    for _ in range(runs):
        busy = chance.random(users) ** -0.8
        asking = np.searchsorted(np.cumsum(busy) / busy.sum(), chance.random(requests))
        rate = np.where(chance.random(users) < 0.04, 0.9, 0.003)
        place = chance.random(users)
        steps = (np.arange(requests) >= requests // 2).astype(int)
        mine = place[asking] < np.array(shares)[steps]
        failed = np.flatnonzero(chance.random(requests) < rate[asking] * np.where(mine & better, 0.5, 1.0))
        firsts = failed[np.unique(asking[failed], return_index=True)[1]]
        firsts.sort()
        stopped += by_steps(steps[firsts], mine[firsts], shares, alpha)
        naive += by_steps(steps[failed], mine[failed], shares, alpha)
    return stopped / runs, naive / runs


# Distributions: every request moves every bet at every edge.

LATENCY_EDGES = np.exp(np.linspace(np.log(0.5), np.log(5_000), 41))
"""Milliseconds; each bucket is a quarter wider than the one below."""

SCORE_EDGES = np.linspace(0, 1, 11)[1:-1]


def path(buckets: NDArray[np.int64], mine: Flags, bets: Bets, count: int, tolerated: int = 0) -> Floats:
    """The logarithm of the evidence after each request; in this order, at a share that does not change."""
    return path_of((buckets - np.where(mine, tolerated, 0))[:, None] > np.arange(count - 1 - tolerated), mine, bets)


def path_of(above: Flags, mine: Flags, bets: Bets) -> Floats:
    """The same, from which edges each request lies above."""
    laid = np.array(bets)
    kind = np.where(mine[:, None], np.where(above, 0, 1), np.where(above, 2, 3))
    found: Floats = np.full(len(above), -np.inf)
    for bet in laid:
        logs = bet[kind].cumsum(axis=0)
        highest = logs.max(axis=1)
        one = highest + np.log(np.exp(logs - highest[:, None]).sum(axis=1))
        found = np.logaddexp(found, one)
    return found - float(np.log(len(laid) * above.shape[1]))


def latencies(chance: np.random.Generator, count: int) -> Floats:
    """Heavy tails: around 8 ms, one in twenty from a tail whose variance is infinite."""
    tail = chance.random(count) < 0.05
    return np.where(tail, 20 * (chance.pareto(1.5, count) + 1), np.exp(2.1 + 0.35 * chance.standard_normal(count)))


def scores(chance: np.random.Generator, count: int) -> Floats:
    """Most are low, a few are high."""
    return chance.beta(0.8, 2.5, count)


_LOG_GUARDS = float(np.log(3))


@dataclass(frozen=True)
class Drawn:
    """One rollout: what each request was, and the evidence after each.

    Attributes:
        errors, latency, scores: of the three guards, as logarithms.
    """

    errors: Floats
    latency: Floats
    scores: Floats

    @property
    def all(self) -> Floats:
        """Of the three together."""
        summed: Floats = np.logaddexp(np.logaddexp(self.errors, self.latency), self.scores)
        return summed - _LOG_GUARDS


def drawn(
    chance: np.random.Generator, requests: int, share: float, *, slow: float = 1.0, up: float = 0.0, tolerated: int = 0
) -> Drawn:
    """A rollout with 1 % errors on both sides.

    Args:
        chance: to draw from.
        requests: how many.
        share: of the candidate.
        slow: how many times as long the candidate takes.
        up: how many of its scores are moved from below a half to above.
        tolerated: buckets by which it may be slower.
    """
    mine = chance.random(requests) < share
    took = latencies(chance, requests) * np.where(mine, slow, 1.0)
    said = scores(chance, requests)
    said = np.where(mine & (chance.random(requests) < up), 0.5 + said / 2, said)
    failed = chance.random(requests) < 0.01
    bets = np.array(error_bets(share))
    logs = np.where(failed[:, None], bets.T[np.where(mine, 0, 1)], 0.0).cumsum(axis=0)
    in_time, in_score = np.searchsorted(LATENCY_EDGES, took), np.searchsorted(SCORE_EDGES, said)
    many = (len(LATENCY_EDGES) + 1, len(SCORE_EDGES) + 1)
    above = in_score[:, None] > np.arange(len(SCORE_EDGES))
    found = Drawn(
        np.logaddexp.reduce(logs, axis=1) - np.log(len(RELATIVE_RISKS)),
        path(in_time, mine, slow_bets(share), many[0], tolerated),
        path_of(np.concatenate([above, ~above], axis=1), mine, score_bets(share, TOLERATED)),
    )
    times, said_scores = (
        Histograms(counted(buckets[mine], count), counted(buckets[~mine], count), share)
        for buckets, count in zip((in_time, in_score), many, strict=True)
    )
    assert_as_replicas_say(found.latency[-1], slower([times], tolerated_buckets=tolerated).evidence)
    assert_as_replicas_say(found.scores[-1], moved([said_scores]).evidence)
    return found


def counted(buckets: NDArray[np.int64], count: int) -> list[int]:
    """How often each bucket occurs."""
    return [int(one) for one in np.bincount(buckets, minlength=count)]


def guards(share: float, runs: int, requests: int = 3_000) -> dict[str, Floats]:
    """The highest that the evidence ever was, in rollouts in which nothing differs, or no more than is tolerated."""
    chance = seeded("guards", share)
    equal = [drawn(chance, requests, share) for _ in range(runs)]
    # 88 % of the scores lie below a half, and each bucket of the latencies is 1.26 times as wide as the one below.
    at_the_edge = [drawn(chance, requests, share, slow=1.25, up=TOLERATED / 0.88, tolerated=1) for _ in range(runs)]
    kinds = {"": ("latency", "scores", "all"), "tolerated ": ("latency", "scores")}
    return {
        f"{kind}{name}": np.array([getattr(one, name).max() for one in found])
        for (kind, names), found in zip(kinds.items(), (equal, at_the_edge), strict=True)
        for name in names
    }


def means(share: float, alpha: float, runs: int) -> float:
    """Rollouts without a difference of skewed numbers, looked at every 50, that are found worse."""
    chance = seeded("means", share, alpha)
    requests, stopped = 10_000, 0
    for _ in range(runs):
        mine = chance.random(requests) < share
        off = chance.exponential(size=requests)
        kept = np.stack([side * what for side in (mine, ~mine) for what in (1.0 + 0 * off, off, off**2)]).cumsum(axis=1)
        for at in range(49, requests, 50):
            a, b, c, d, e, f = kept[:, at].tolist()
            if a >= NUMBERS_MIN:
                seen = mean_difference([Means(Sums(int(a), b, c), Sums(int(d), e, f))], alpha=alpha, effect=0.1)
                if seen.evidence >= 1 / alpha:
                    stopped += 1
                    break
    return stopped / runs


# The whole of it: the judge that decides in a replica, step by step, from the counts that replicas keep.

PLAN = CanaryPlan(
    (Step(500, 0.0, 50), Step(1_000, 0.0, 100), Step(2_500, 0.0, 500)),
    guards=(Guard.ERRORS, Guard.LATENCY, Guard.SCORES),
    score_edges=tuple(SCORE_EDGES.tolist()),
)

JUDGED_REQUESTS = 5_000
JUDGED_EVERY = 25


@dataclass(frozen=True)
class Truly:
    """How the two versions truly are.

    Attributes:
        told: in words.
        failing: the chance that the candidate fails a request.
        others_failing: the chance that the other version does.
        slow: how many times as long the candidate takes.
        up: how many of its scores are moved from below a half to above.
    """

    told: str
    failing: float = 0.01
    others_failing: float = 0.01
    slow: float = 1.0
    up: float = 0.0


TRUTHS = (
    Truly("nothing differs"),
    Truly("nothing differs, both fail 10 %", 0.1, 0.1),
    Truly("the other version fails 30 %, the candidate does not", 0.0, 0.3),
    Truly("1.2 times as slow", slow=1.2),
    Truly("fails 10 %, not 1 %", 0.1),
    Truly("fails 50 %, not 1 %", 0.5),
    Truly("3 times as slow", slow=3.0),
    Truly("half of the scores move above a half", up=0.5),
)


def judged(chance: np.random.Generator, truly: Truly) -> tuple[Outcome, int]:
    """How a canary ends, and after how many requests; looked at after each 25th one, and after each error."""
    count = JUDGED_REQUESTS
    place, fate, raised = chance.random(count), chance.random(count), chance.random(count) < truly.up
    took, said, step = latencies(chance, count) / 1_000, scores(chance, count), 0
    counts = {0: {"a": Counted(len(PLAN.score_edges) + 1)}}
    for at in range(count):
        mine = bool(place[at] * 10_000 < PLAN.step(step).share)
        arm = counts[step]["a"].arm(candidate=mine)
        arm.requests += 1
        arm.counted += 1
        failed = bool(fate[at] < (truly.failing if mine else truly.others_failing))
        if failed:
            arm.failed += 1
            arm.name("bundle_failed")
        else:
            score = 0.5 + said[at] / 2 if mine and raised[at] else said[at]
            arm.latencies[bisect_left(LATENCY_EDGES_SECONDS, took[at] * (truly.slow if mine else 1.0))] += 1
            arm.scores[bisect_right(PLAN.score_edges, score)] += 1
        if failed or at % JUDGED_EVERY == JUDGED_EVERY - 1:
            found = judge(PLAN, step, counts, 1.0).outcome
            if found in {Outcome.ABORT, Outcome.HOLD} or (found is Outcome.ADVANCE and PLAN.is_last(step)):
                return found, at + 1
            if found is Outcome.ADVANCE:
                step += 1
                counts[step] = {"a": Counted(len(PLAN.score_edges) + 1)}
    return Outcome.GO_ON, count


def whole_judge(runs: int) -> Table:
    """How canaries end."""
    few, rows = max(10, runs // 80), []
    for truly in TRUTHS:
        ends = [judged(seeded("judged", truly.told, run), truly) for run in range(few)]
        aborted = [at for how, at in ends if how is Outcome.ABORT]
        rows.append(
            (
                truly.told,
                percent(len(aborted) / few),
                percent(sum(how is Outcome.HOLD for how, _ in ends) / few),
                f"{np.median(aborted):,.0f}" if len(aborted) > few / 2 else "",
            )
        )
    return Table("the judge", ("the candidate", "aborted", "held", "median requests"), tuple(rows))


# The tables.


def false_aborts(runs: int) -> Table:
    """Errors, one step."""
    head = ("errors of both", *(f"{share:.0%} at {alpha:g}" for alpha in ALPHAS for share in SHARES))
    rows = [
        (f"{rate:g}", *(percent(aborts(rate, share, alpha, runs)) for alpha in ALPHAS for share in SHARES))
        for rate in RATES
    ]
    naive = [
        (
            f"{rate:g}, test for one look every {PEEK_REQUESTS}",
            *(
                percent(float(np.isfinite(peeked(rate, rate, share, alpha, min(runs, 1_000))).mean()))
                for alpha in ALPHAS
                for share in SHARES
            ),
        )
        for rate in (0.01,)
    ]
    return Table("false aborts", head, (*rows, *naive))


def harder_cases(runs: int) -> Table:
    """Errors, where others go wrong."""
    few = max(20, runs // 4)
    rows = []
    for told, drawn_as in (
        ("rates that go up and down, steps of 1, 10 and 50 %", moving_rates),
        ("users that stay on one side, steps of 5 and 25 %", sticky),
        ("the same, the candidate fails half as often", lambda alpha, runs: sticky(alpha, runs, better=True)),
    ):
        found = [drawn_as(alpha, few) for alpha in ALPHAS]
        rows.append((told, *(percent(one[0]) for one in found), *(percent(one[1]) for one in found)))
    return Table("harder cases", ("", "at 0.01", "at 0.05", "careless, at 0.01", "careless, at 0.05"), tuple(rows))


def other_guards(runs: int) -> Table:
    """Latency, scores, all of them, and numbers."""
    few = max(10, runs // 4)
    found = {share: guards(share, few) for share in WATCHED_SHARES}
    rows = [
        (
            told,
            *(percent(float((found[s][key] >= -np.log(alpha)).mean())) for alpha in ALPHAS for s in WATCHED_SHARES),
        )
        for told, key in (
            ("latency, heavy tails", "latency"),
            ("latency, 1.25 times, one bucket of 1.26 tolerated", "tolerated latency"),
            ("scores", "scores"),
            ("scores that differ by the 5 % that are tolerated", "tolerated scores"),
            ("errors, latency and scores together", "all"),
        )
    ]
    far_off = [percent(means(share, alpha, few)) for alpha in ALPHAS for share in WATCHED_SHARES]
    rows.append(("how far answers are off, looked at every 50", *far_off))
    head = ("guard", *(f"{share:.0%} at {alpha:g}" for alpha in ALPHAS for share in WATCHED_SHARES))
    return Table("other guards", head, tuple(rows))


def detection(runs: int) -> Table:
    """Errors that rise, at 0.01."""
    rows = []
    for share in WATCHED_SHARES:
        for p0, p1 in REGRESSIONS:
            found = found_after(p0, p1, share, 0.01, runs)
            told = [requests_to_detect(p0, p1, share, 0.01, part) for part in (0.5, 0.9)]
            assert None not in told
            rows.append(
                (
                    f"{p0:.1%} to {p1:.1%}, {share:.0%} of the requests",
                    *(f"{count:,}" for count in told),
                    *(f"{np.quantile(found, part):,.0f}" for part in (0.5, 0.9)),
                )
            )
    head = ("errors", "median, calculated", "90 %, calculated", "median, simulated", "90 %, simulated")
    return Table("detection", head, tuple(rows))


def other_detection(runs: int) -> Table:
    """Latency and scores that move, at 0.01, at 10 % of the requests."""
    few, rows = max(8, runs // 10), []
    for told, requests, key, slow, up in (
        ("latency, 1.3 times", 6_000, "latency", 1.3, 0.0),
        ("latency, 2 times", 2_000, "latency", 2.0, 0.0),
        ("a fifth of the scores move above a half", 8_000, "scores", 1.0, 0.2),
        ("half of the scores move above a half", 2_000, "scores", 1.0, 0.5),
    ):
        chance = seeded("moved", told)
        found = first(
            np.array([getattr(drawn(chance, requests, 0.1, slow=slow, up=up), key) >= np.log(100) for _ in range(few)])
        )
        rows.append((told, *(_requests(float(np.quantile(found, part)), requests) for part in (0.5, 0.9))))
    return Table("other detection", ("what changes", "median", "90 %"), tuple(rows))


def _requests(found: float, most: int) -> str:
    return f"{found:,.0f}" if np.isfinite(found) else f"more than {most:,}"


TABLES: dict[str, Callable[[int], Table]] = {
    "false aborts": false_aborts,
    "harder cases": harder_cases,
    "other guards": other_guards,
    "detection": detection,
    "other detection": other_detection,
    "the judge": whole_judge,
}


def written(document: str, tables: Sequence[Table]) -> str:
    """The document with these tables in their places.

    Raises:
        ValueError: a table has no place.
    """
    for table in tables:
        place = re.compile(rf"(<!-- table: {table.name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = table.text().replace("\\", r"\\")
        document, count = place.subn(rf"\g<1>{text}\n\g<2>", document)
        if count != 1:
            raise ValueError(f"the document has {count} places for the table {table.name}")
    return document


def made(names: Sequence[str], runs: int) -> Iterator[Table]:
    """Some tables, printed as they come."""
    for name in names:
        began = time.perf_counter()
        table = TABLES[name](runs)
        print(f"\n{table.name} ({time.perf_counter() - began:.0f} s)\n\n{table.text()}", flush=True)
        yield table


def main() -> None:
    """Simulate, print, and write when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--table", action="append", choices=tuple(TABLES), help="this one alone; may be repeated")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", type=Path)
    given = parser.parse_args()
    print(f"up to {given.runs} simulated rollouts of up to {REQUESTS:,} requests in each cell; seed {SEED}")
    tables = tuple(made(given.table or tuple(TABLES), given.runs))
    if given.json:
        said = {table.name: {"head": table.head, "rows": table.rows} for table in tables}
        given.json.write_text(json.dumps({"runs": given.runs, "seed": SEED, "tables": said}))
    if given.write:
        given.write.write_text(written(given.write.read_text(), tables))


if __name__ == "__main__":
    main()
