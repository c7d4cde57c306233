"""What every registry answers about its versions: behind one handle, two, and two servers of ours."""

from typing import Any

import pytest

from holdfast.digest import Digest, hash_bytes
from holdfast.errors import NotFound, UsageError
from holdfast.names import ModelName, Reference, StageName, VersionNumber
from holdfast.registry import (
    Action,
    Direction,
    Edge,
    Facts,
    Found,
    Indexed,
    Meaning,
    MoveStage,
    NewApproval,
    NewVerdict,
    NewVersion,
    Registry,
    Spell,
    VerdictEntry,
    Version,
)

CHURN = ModelName("churn")
PRICE = ModelName("price")
PRODUCTION = StageName("production")
STAGING = StageName("staging")
DATA = str(hash_bytes(b"data"))
FILE = str(hash_bytes(b"file"))


def facts(numbers: dict[str, float] | None = None, texts: dict[str, str] | None = None, left_out: int = 0) -> Facts:
    return Facts(tuple((numbers or {}).items()), tuple((texts or {}).items()), left_out)


def packages(**pinned: str) -> dict[str, str]:
    from holdfast.registry.ranks import rank

    exact = {f"packages.{name}": version for name, version in pinned.items()}
    return {**exact, **{f"ranks.{name}": str(rank(version)) for name, version in pinned.items()}}


def registered(registry: Registry, model: ModelName = CHURN, known: Facts | None = None, **more: Any) -> Version:
    registry.ensure_model(model, "ana")
    digest = hash_bytes(f"{model}{len(registry.versions(model))}".encode())
    asked = NewVersion(
        model,
        digest,
        complete=more.pop("complete", True),
        run_id=more.pop("run", None),
        semver=more.pop("semver", None),
        lineage=tuple(Edge("version", str(digest), *edge) for edge in more.pop("lineage", [])),
        facts=known,
    )
    return registry.register(asked, more.pop("actor", "ana <ana@example.org>"))


def moved(registry: Registry, to: int, expect: int | None, stage: StageName = PRODUCTION, **more: Any) -> Any:
    asked = MoveStage(
        CHURN,
        stage,
        VersionNumber(to),
        None if expect is None else VersionNumber(expect),
        more.pop("action", Action.STAGE_PROMOTE),
        **more,
    )
    return registry.move_stage(asked, "bob")


def names(found: Found) -> list[str]:
    return [f"{one.version.model}@{one.version.number}" for one in found.versions]


@pytest.fixture
def four(registry: Registry) -> Registry:
    """churn@1 to @3 and price@1, of which churn@2 holds production and churn@1 is put away."""
    registered(
        registry,
        known=facts(
            {"metrics.accuracy": 0.9, "params.lr": 0.1},
            {"params.lr": "0.1", "params.kind": "tree", "data": DATA, "data.train": DATA, **packages(numpy="1.9.0")},
        ),
        semver="1.0.0",
    )
    registered(
        registry,
        known=facts(
            {"metrics.accuracy": 0.95},
            {"params.kind": "net", "tags.team": "blue", "file": FILE, **packages(numpy="1.26.0")},
        ),
        run="r1",
    )
    registered(registry, known=facts({"metrics.accuracy": 0.9}), actor="bob", complete=False)
    registered(registry, PRICE, facts({"metrics.error": 3.0}, {"data": DATA, "data.holdout": DATA}), actor="anabel")
    moved(registry, 2, None)
    moved(registry, 1, None, StageName("archived"))
    return registry


FOUND = {
    "": ["price@1", "churn@3", "churn@2", "churn@1"],
    "metrics.accuracy > 0.9": ["churn@2"],
    "metrics.accuracy >= 0.9": ["churn@3", "churn@2", "churn@1"],
    "metrics.accuracy != 0.9": ["churn@2"],
    "not metrics.accuracy = 0.9": ["price@1", "churn@2"],
    "metrics.accuracy in (0.9, 3)": ["churn@3", "churn@1"],
    "param.lr < 0.5": ["churn@1"],
    "params.kind = tree or params.kind = 'net'": ["churn@2", "churn@1"],
    "params.kind like 'N%'": ["churn@2"],
    "params.kind not in (tree)": ["price@1", "churn@3", "churn@2"],
    "tags.team = blue": ["churn@2"],
    f"data = {DATA}": ["price@1", "churn@1"],
    f'data.train = "{DATA}"': ["churn@1"],
    f"data != '{DATA}'": ["churn@3", "churn@2"],
    f"data like '{DATA[:20]}%'": ["price@1", "churn@1"],
    f"file = {FILE}": ["churn@2"],
    "package.numpy = 1.26": ["churn@2"],
    "package.NumPy < '1.26.0'": ["churn@1"],
    "packages.numpy >= 1.9": ["churn@2", "churn@1"],
    "package.numpy like '1.2%'": ["churn@2"],
    "package.numpy in (1.9, 1.26.0)": ["churn@2", "churn@1"],
    "stage = production": ["churn@2"],
    "stage in (production, archived)": ["churn@2", "churn@1"],
    "stage != production": ["price@1", "churn@3", "churn@1"],
    "live": ["churn@2"],
    "not live and not complete": ["churn@3"],
    "complete and model = price": ["price@1"],
    "author = ana": ["churn@2", "churn@1"],
    "author != ana": ["price@1", "churn@3"],
    "author in (ana, bob)": ["churn@3", "churn@2", "churn@1"],
    "run = r1": ["churn@2"],
    "semver = 1.0.0": ["churn@1"],
    "version > 1 and model like 'CH%'": ["churn@3", "churn@2"],
    "created > 2026-01-01": ["price@1", "churn@3", "churn@2", "churn@1"],
    "created < 2026-01-01": [],
    f"digest = {hash_bytes(b'churn0')}": ["churn@1"],
    f"digest like '{str(hash_bytes(b'churn0'))[:17]}%'": ["churn@1"],
    "(model = price or live) and not tags.team = blue": ["price@1"],
}
"""What each search finds of the four. One test asks all of them: a registry takes longer to fill than to answer."""


def test_a_search_finds_what_fits_the_newest_first(four: Registry) -> None:
    found = {text: four.search(text) for text in FOUND}
    assert {text: names(one) for text, one in found.items()} == FOUND
    assert {(one.next, one.not_indexed, one.in_part) for one in found.values()} == {(None, 0, 0)}


def test_a_found_version_comes_whole_with_the_stages_it_holds(four: Registry) -> None:
    moved(four, 2, None, STAGING)
    (found,) = four.search("live").versions
    assert found.stages == (PRODUCTION, STAGING)
    assert found.version == four.versions(CHURN)[1]


def test_created_is_compared_to_the_microsecond(four: Registry) -> None:
    second = four.versions(CHURN)[1].created_at.isoformat()
    assert names(four.search(f"created >= {second} and model = churn")) == ["churn@3", "churn@2"]
    assert names(four.search(f"created > {second} and model = churn")) == ["churn@3"]
    assert names(four.search(f"created <= {second}")) == ["churn@2", "churn@1"]
    assert names(four.search(f"created < {second}")) == ["churn@1"]


ORDERED = {
    "created": ["churn@1", "churn@2", "churn@3", "price@1"],
    "metrics.accuracy desc": ["churn@2", "churn@3", "churn@1", "price@1"],
    "metric.accuracy": ["churn@1", "churn@3", "churn@2", "price@1"],
    "params.lr desc": ["churn@1", "price@1", "churn@3", "churn@2"],
}


def in_pages(registry: Registry, order: str, limit: int) -> list[str]:
    found, after = [], None
    while True:
        page = registry.search(order_by=order, limit=limit, after=after)
        found += names(page)
        assert len(page.versions) <= limit
        after = page.next
        if after is None:
            return found


def test_pages_put_together_are_the_whole_order(four: Registry) -> None:
    for limit in (1, 2, 3, 100):
        assert {order: in_pages(four, order, limit) for order in ORDERED} == ORDERED, f"in pages of {limit}"


def test_what_was_sorted_by_is_told(four: Registry) -> None:
    values = [one.value for one in four.search(order_by="metrics.accuracy desc").versions]
    assert values == [0.95, 0.9, 0.9, None]


def test_a_search_stays_within_a_model(four: Registry) -> None:
    assert names(four.search(model=PRICE)) == ["price@1"]
    assert names(four.search("data like 'sha256:%'", model=CHURN, order_by="metrics.error")) == ["churn@1"]
    with pytest.raises(NotFound) as raised:
        four.search(model=ModelName("chrun"))
    assert "churn" in raised.value.hint


REFUSED: list[dict[str, Any]] = [
    {"filter": "metrics.accuracy > high"},
    {"filter": "metrics.accuracy > 0.9 andlive"},
    {"filter": "live = true"},
    {"filter": "data = sha256:ab"},
    {"filter": "data like '%ab'"},
    {"filter": "package.numpy > one"},
    {"filter": "created = 2026-01-01"},
    {"filter": "created > yesterday"},
    {"filter": "stage > a"},
    {"order_by": "author"},
    {"order_by": "live"},
    {"order_by": "created, metrics.a"},
    {"after": "nowhere"},
    {"after": "0123456789abcdef.e.3"},
]


def test_what_cannot_be_asked_is_refused_with_a_hint(four: Registry, subtests: pytest.Subtests) -> None:
    for asked in REFUSED:
        with subtests.test(**asked):
            with pytest.raises(UsageError) as raised:
                four.search(**asked)
            assert raised.value.hint
            assert raised.value.details["place"] >= 0


def test_as_many_as_nobody_reads_are_refused(four: Registry) -> None:
    for limit in (0, -1, 1_001):
        with pytest.raises(UsageError):
            four.search(limit=limit)


def test_a_name_that_no_version_has_is_told_with_the_nearest(four: Registry) -> None:
    found = four.search("metric.acuracy > 0.5 and not tags.tame = blue and live")
    assert [(one.field, one.nearest) for one in found.unknown] == [
        ("metrics.acuracy", ("metrics.accuracy",)),
        ("tags.tame", ("tags.team",)),
    ]
    assert [one.field for one in four.search("package.Num_Py2 = 1").unknown] == ["packages.num-py2"]
    assert four.search("metrics.accuracy > 7").unknown == ()
    assert four.search("metrics.nothing > 7 or live").unknown == ()


def test_a_place_of_another_search_is_refused(four: Registry) -> None:
    page = four.search("complete", limit=1)
    assert page.next is not None
    with pytest.raises(UsageError):
        four.search("live", limit=1, after=page.next)


def test_versions_without_facts_are_counted_until_they_have_some(registry: Registry) -> None:
    bare, part = registered(registry), registered(registry, known=facts({"metrics.a": 1.0}, left_out=3))
    found = registry.search("metrics.a >= 1")
    assert (names(found), found.not_indexed, found.in_part) == (["churn@2"], 1, 1)
    assert registry.not_indexed() == (bare,)
    assert registry.not_indexed(after=Reference.parse("churn@1")) == ()
    with pytest.raises(UsageError):
        registry.not_indexed(after=Reference.parse("churn@production"))
    assert registry.index(CHURN, bare.number, facts({"metrics.a": 2.0})) == Indexed(1, 0)
    assert names(registry.search("metrics.a >= 1")) == ["churn@2", "churn@1"]
    assert registry.not_indexed() == ()
    assert registry.search(model=CHURN).not_indexed == 0
    # What is written down stays.
    assert registry.index(CHURN, part.number, facts({"metrics.a": 9.0})) == Indexed(1, 3)
    assert names(registry.search("metrics.a > 5")) == []
    with pytest.raises(NotFound):
        registry.index(CHURN, VersionNumber(9), facts())


def test_an_imported_version_is_found_too(registry: Registry) -> None:
    registry.ensure_model(CHURN, "ana")
    new = NewVersion(CHURN, hash_bytes(b"elsewhere"), complete=True, facts=facts({"metrics.a": 1.0}))
    registry.import_version(new, VersionNumber(7), "ana")
    assert names(registry.search("metrics.a = 1")) == ["churn@7"]
    assert registry.audit_verify().ok


def test_every_named_snapshot_is_told_once(four: Registry) -> None:
    other = str(hash_bytes(b"other"))
    registered(four, known=facts(texts={"data": other, "data.train": other}))
    every = tuple(sorted([Digest.parse(DATA), Digest.parse(other)]))
    assert four.named_snapshots() == every
    assert four.named_snapshots(limit=1) == every[:1]
    assert four.named_snapshots(after=every[0]) == every[1:]


def judged(registry: Registry, number: int, stage: StageName, mark: int, **body: Any) -> VerdictEntry:
    new = NewVerdict(CHURN, VersionNumber(number), stage, "pass", {"findings": [], "mark": mark, **body})
    kept = registry.put_verdict(new)
    blobs = tuple(map(Digest.parse, body.get("blobs", ())))
    return VerdictEntry(kept.digest, CHURN, new.number, stage, "pass", blobs, kept.created_at)


def test_verdicts_are_listed_by_what_they_judge_with_what_they_keep(registry: Registry) -> None:
    registered(registry)
    registered(registry)
    assert registry.verdicts() == ()
    first = judged(registry, 1, PRODUCTION, 1, blobs=[DATA, FILE])
    other, staged = judged(registry, 2, PRODUCTION, 2), judged(registry, 1, STAGING, 3)
    every = tuple(sorted([first, other, staged], key=lambda entry: entry.digest))
    assert registry.verdicts() == every
    assert registry.verdicts(model=CHURN, number=VersionNumber(1), stage=PRODUCTION) == (first,)
    assert set(registry.verdicts(model=CHURN, number=VersionNumber(1))) == {first, staged}
    assert registry.verdicts(model=PRICE) == ()
    pages = [registry.verdicts(limit=1)]
    while pages[-1]:
        pages.append(registry.verdicts(after=pages[-1][-1].digest, limit=1))
    assert tuple(entry for page in pages for entry in page) == every


def test_a_verdict_is_found_by_how_its_digest_begins(registry: Registry) -> None:
    registered(registry)
    entries = [judged(registry, 1, PRODUCTION, mark) for mark in range(20)]
    for entry in entries:
        assert registry.verdicts(beginning=str(entry.digest)) == (entry,)
        alike = [one for one in entries if str(one.digest).startswith(str(entry.digest)[:8])]
        assert set(registry.verdicts(beginning=str(entry.digest)[:8])) == set(alike)
    assert len(registry.verdicts(beginning="sha256:")) == len(entries)


def test_a_verdict_that_keeps_no_digests_is_refused(registry: Registry) -> None:
    registered(registry)
    for blobs in ("x", ["no digest"], [7], {"a": DATA}):
        with pytest.raises(UsageError):
            registry.put_verdict(NewVerdict(CHURN, VersionNumber(1), PRODUCTION, "pass", {"blobs": blobs}))
    with pytest.raises(UsageError):
        registry.verdicts(limit=0)
    assert registry.verdicts() == ()


def test_a_history_says_how_each_spell_came_and_went(registry: Registry) -> None:
    for _ in range(3):
        registered(registry)
    version = registry.versions(CHURN)[1]
    verdict = registry.put_verdict(NewVerdict(CHURN, version.number, PRODUCTION, "pass", {"findings": []}))
    judged = NewApproval(CHURN, version.number, version.digest, PRODUCTION, Meaning.APPROVE, "good", verdict.digest)
    moved(registry, 1, None, reason="first")
    approval = registry.approve(judged, "cid")
    moved(registry, 2, 1, reason="better", verdict=verdict.digest, approvals=(approval.id,))
    moved(registry, 1, 2, action=Action.STAGE_ROLLBACK, reason="worse")
    moved(registry, 3, None, STAGING)
    staged, last, second, first = registry.history(CHURN)
    assert [one.stage for one in (staged, last, second, first)] == [STAGING, *[PRODUCTION] * 3]
    assert (last.number, last.until, last.ended, last.replaced) == (1, None, None, 2)
    assert (last.action, last.by, last.reason) == (Action.STAGE_ROLLBACK, "bob", "worse")
    assert (second.number, second.verdict, second.outcome) == (2, verdict.digest, "pass")
    assert (second.until, second.ended, second.ended_event) == (last.since, Action.STAGE_ROLLBACK, last.event)
    assert (second.ended_reason, second.digest) == ("worse", version.digest)
    assert (first.replaced, first.until, first.ended) == (None, second.since, Action.STAGE_PROMOTE)
    assert registry.history(CHURN, PRODUCTION) == (last, second, first)


def test_pages_of_a_history_put_together_are_the_whole(registry: Registry) -> None:
    registered(registry), registered(registry)
    for to, expect in ((1, None), (2, 1), (1, 2), (2, 1)):
        moved(registry, to, expect)
    moved(registry, 1, None, STAGING)
    whole = registry.history(CHURN)
    assert len(whole) == 5
    paged: list[Spell] = []
    before = None
    while page := registry.history(CHURN, before=before, limit=2):
        paged += page
        before = page[-1].event
    assert tuple(paged) == whole


def test_a_history_of_what_is_not_there(registry: Registry) -> None:
    with pytest.raises(NotFound):
        registry.history(CHURN)
    registered(registry)
    assert registry.history(CHURN) == ()
    with pytest.raises(NotFound):
        registry.history(CHURN, StageName("prod"))
    with pytest.raises(UsageError):
        registry.history(CHURN, limit=0)


@pytest.fixture
def family(registry: Registry) -> Registry:
    """churn@1 and @2 trained on the same data, @3 a delta on @2."""
    registered(registry, lineage=[("trained_on", "snapshot", DATA), ("produced_by", "run", "r1")])
    second = registered(registry, lineage=[("trained_on", "snapshot", DATA)])
    registered(registry, lineage=[("delta_on", "version", str(second.digest))])
    return registry


def test_a_walk_goes_up_to_what_a_version_was_made_from(family: Registry) -> None:
    third, second = (family.versions(CHURN)[place] for place in (2, 1))
    walked = family.walk("version", str(third.digest), Direction.UP)
    assert [(one.kind, one.depth, one.versions) for one in walked.nodes] == [
        ("version", 0, ("churn@3",)),
        ("version", 1, ("churn@2",)),
        ("snapshot", 2, ()),
    ]
    assert walked.edges == (
        Edge("version", str(third.digest), "delta_on", "version", str(second.digest)),
        Edge("version", str(second.digest), "trained_on", "snapshot", DATA),
    )
    assert not walked.cut
    short = family.walk("version", str(third.digest), Direction.UP, depth=1)
    assert (short.nodes, short.edges, short.cut) == (walked.nodes[:2], walked.edges[:1], True)


def test_a_walk_goes_down_to_what_was_made_from_data(family: Registry) -> None:
    walked = family.walk("snapshot", DATA, Direction.DOWN)
    assert {one.versions: one.depth for one in walked.nodes} == {
        (): 0,
        ("churn@1",): 1,
        ("churn@2",): 1,
        ("churn@3",): 2,
    }
    assert not walked.cut


def test_a_walk_ends_in_a_circle(registry: Registry) -> None:
    digest = str(hash_bytes(b"churn0"))
    registered(registry, lineage=[("made_with", "tool", "t")])
    registered(
        registry, lineage=[("made_with", "version", digest), ("made_with", "version", str(hash_bytes(b"churn1")))]
    )
    walked = registry.walk("version", str(hash_bytes(b"churn1")), Direction.UP, depth=16)
    assert len(walked.nodes) == 3
    assert len(walked.edges) == 3


def test_a_walk_from_what_nobody_knows_is_short(registry: Registry) -> None:
    walked = registry.walk("version", "nothing", Direction.DOWN)
    assert (len(walked.nodes), walked.edges, walked.cut) == (1, (), False)
    for depth in (0, 17):
        with pytest.raises(UsageError):
            registry.walk("version", "nothing", Direction.UP, depth=depth)
