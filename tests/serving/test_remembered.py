"""A stage whose registry is away: what was heard of it last, and nothing made up."""

from pathlib import Path

import pytest

from holdfast.digest import hash_bytes
from holdfast.errors import Unavailable, UnsupportedFormat
from holdfast.names import VersionNumber
from holdfast.registry import ReplicaState
from holdfast.serving.remembered import Remembered
from holdfast.serving.source import Pointer, Pointers
from tests.serving.building import MODEL, Built
from tests.serving.stages import STAGE, HandMovedStage, Shelf, pointer, run, running, until, until_epoch

AWAY = Unavailable("the server does not answer", hint="-")
ONE, TWO = (Pointer(VersionNumber(number), hash_bytes(b"%d" % number)) for number in (1, 2))


def remembering(stage: HandMovedStage, folder: Path) -> Remembered:
    return Remembered(stage, folder / "routes", MODEL, STAGE)


def test_what_was_read_is_served_again_when_nobody_answers(tmp_path: Path) -> None:
    stage = HandMovedStage()
    stage.move(ONE)
    stage.move(TWO, ONE)
    first = remembering(stage, tmp_path)
    assert first.mark(None) == stage.mark(None)
    assert first.read() == Pointers(2, TWO, ONE)
    stage.broken = AWAY
    again = remembering(stage, tmp_path)
    assert again.known
    known = again.mark(None)
    assert again.read() == Pointers(2, TWO, ONE)
    with pytest.raises(Unavailable):
        again.mark(known)  # the replica has been told, and is to say that it hears nothing
    stage.broken = None
    assert again.mark(known) != known, "the first word of the registry is news, whatever it is"
    assert again.read() == Pointers(2, TWO, ONE)


def test_who_was_never_told_anything_serves_nothing(tmp_path: Path) -> None:
    stage = HandMovedStage()
    stage.broken = AWAY
    source = remembering(stage, tmp_path)
    assert not source.known
    with pytest.raises(Unavailable):
        source.mark(None)


def test_who_heard_the_registry_once_does_not_go_back_to_memory(tmp_path: Path) -> None:
    stage = HandMovedStage()
    stage.move(ONE)
    source = remembering(stage, tmp_path)
    mark = source.mark(None)
    source.read()
    stage.broken = AWAY
    for known in (mark, mark):
        with pytest.raises(Unavailable):
            source.mark(known)
    with pytest.raises(Unavailable):
        source.read()


def test_a_registry_that_goes_away_between_its_mark_and_its_answer_was_not_heard(tmp_path: Path) -> None:
    stage = HandMovedStage()
    stage.move(ONE)
    first = remembering(stage, tmp_path)
    first.mark(None)
    first.read()
    again = remembering(stage, tmp_path)
    again.mark(None)
    stage.broken = AWAY
    with pytest.raises(Unavailable):
        again.read()
    again.mark(None)
    assert again.read() == Pointers(1, ONE, None)


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"format":"other","format_version":"1.0"}', b"\xff" * 10])
def test_a_damaged_memory_is_told_and_not_guessed(tmp_path: Path, damage: bytes) -> None:
    stage = HandMovedStage()
    stage.broken = AWAY
    source = remembering(stage, tmp_path)
    (tmp_path / "routes").mkdir()
    (tmp_path / "routes" / f"{MODEL}@{STAGE}.json").write_bytes(damage)
    source.mark(None)
    with pytest.raises(UnsupportedFormat):
        source.read()


def test_a_memory_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "routes").write_text("a file where the folder should be")
    stage = HandMovedStage()
    stage.move(ONE)
    source = remembering(stage, tmp_path)
    source.mark(None)
    assert source.read() == Pointers(1, ONE, None)


@pytest.mark.slow
def test_a_replica_that_starts_without_its_registry_answers_and_follows_when_it_is_back(
    tmp_path: Path, first: Built, second: Built
) -> None:
    stage, shelf = HandMovedStage(), Shelf(first, second)
    stage.move(pointer(1, first))

    async def before() -> None:
        async with running(remembering(stage, tmp_path), shelf) as replica:
            await until_epoch(replica, 1)

    async def away() -> None:
        stage.broken = AWAY
        async with running(remembering(stage, tmp_path), shelf) as replica:
            await until(lambda: replica.route is not None, "it serves what it remembers")
            assert replica.route is not None
            assert replica.route.primary.digest == first.digest
            await until(lambda: replica.report().error is not None, "it says that it hears nothing")
            assert replica.report().state is ReplicaState.READY
            stage.broken = None
            stage.move(pointer(2, second), pointer(1, first))
            await until_epoch(replica, 2)
            assert replica.route.primary.digest == second.digest

    run(before)
    run(away)
