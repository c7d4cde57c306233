"""Files of what MLflow's clients deleted long ago: told, and their names taken away, so that gc may let the bytes go.

A deleted run, logged model or experiment is hidden and keeps all it has, for it may be restored. After a time that a
person names, its files lose their names. Rows, tags and metrics stay; a restored run is there then, without files.

What a registered version is made of keeps its names: clients load the version by them. Only a version that was deleted
as long ago keeps them no more; its bytes are needed by the version itself, unless that was archived.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, delete, or_, select

from holdfast.database.engine import Database
from holdfast.database.insisting import insisted
from holdfast.experiments.files import now_ms
from holdfast.experiments.free_names import take_turns
from holdfast.experiments.paths import bounds, folders_of, owner_of
from holdfast.experiments.places import once_served
from holdfast.experiments.registered_rows import VERSION_IS_THERE, VERSION_JOIN
from holdfast.experiments.tables import experiments, frozen_files, logged_models, registered_versions, run_files
from holdfast.tracking.tables import runs

__all__ = ["Lapsed", "SqlLapsed"]

_MS = timedelta(milliseconds=1)


class Lapsed(NamedTuple):
    """A run or a logged model that was deleted.

    Attributes:
        what: it is, for people.
        files: how many names it has that go.
        bytes: how many bytes these files have; others may have the same ones.
    """

    what: str
    files: int
    bytes: int


class SqlLapsed:
    """What was deleted, in a database.

    Args:
        database: has the names of files.
        clock: gives the moment in milliseconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._clock = clock

    def lapsed(self, age: timedelta) -> list[Lapsed]:
        """What was deleted so long ago or longer, and has files that nothing else is made of; nothing is changed."""
        before = self._before(age)
        with self._database.read() as connection:
            owners = list(_owners(connection, before))
            found = [_told(_going(connection, folder, before), folder) for _, folder in owners]
        return [one for one in found if one.files]

    def free(self, age: timedelta) -> list[Lapsed]:
        """Takes the names of these files away, and tells whose they were. What is restored meanwhile keeps its own."""
        before = self._before(age)
        with self._database.read() as connection:
            owners = list(_owners(connection, before))
        found = [self._free(owner, folder, before) for owner, folder in owners]
        return [one for one in found if one.files]

    def _free(self, owner: Select[Any], folder: str, before: int) -> Lapsed:
        def once() -> Lapsed:
            with self._database.change() as connection:
                there = connection.execute(owner.with_for_update(key_share=True)).one_or_none()
                take_turns(connection, folder)
                going = _going(connection, folder, before) if there is not None else {}
                if going:
                    gone = delete(run_files).where(run_files.c.path == bindparam("gone"))
                    connection.execute(gone, [{"gone": path} for path in going])
                return _told(going, folder)

        return insisted(once)

    def _before(self, age: timedelta) -> int:
        return self._clock() - age // _MS


def _owners(connection: Connection, before: int) -> Iterator[tuple[Select[Any], str]]:
    """What was deleted by then and has files: what finds its row while that is so, and its folder."""
    joined = runs.join(experiments, experiments.c.id == runs.c.experiment)
    of_runs = select(runs.c.id, experiments.c.place).select_from(joined).where(runs.c.deleted_ms <= before)
    for row in connection.execute(of_runs.order_by(runs.c.id)):
        folder = once_served(f"{row.place.rstrip('/')}/{row.id}/artifacts")
        if folder and _is_one(connection, folder):
            yield of_runs.where(runs.c.id == row.id), folder
    with_them = logged_models.join(experiments, experiments.c.id == logged_models.c.experiment)
    by_then = or_(logged_models.c.deleted_ms <= before, experiments.c.deleted_ms <= before)
    of_models = select(logged_models.c.id, logged_models.c.place).select_from(with_them).where(by_then)
    for row in connection.execute(of_models.order_by(logged_models.c.id)):
        folder = once_served(row.place)
        if folder and _is_one(connection, folder):
            yield of_models.where(logged_models.c.id == row.id), folder


def _is_one(connection: Connection, folder: str) -> bool:
    return connection.execute(select(run_files.c.path).where(_is_below(folder)).limit(1)).one_or_none() is not None


def _told(going: Mapping[str, int], folder: str) -> Lapsed:
    return Lapsed(owner_of(f"{folder}/"), len(going), sum(going.values()))


def _going(connection: Connection, folder: str, before: int) -> Mapping[str, int]:
    """The files below a folder that no registered version is made of, or only such as were deleted by then, with bytes.

    Nor those that were frozen since: whoever registers a version freezes its files before it is known by them.

    Nor those of an experiment that somebody placed inside: its runs and logged models go when they were deleted.
    """
    low, high = bounds(folder)
    path = registered_versions.c.path
    near = or_(path.in_(folders_of(folder)), and_(path > low, path < high))
    moment = registered_versions.c.deleted_ms
    stays = or_(VERSION_IS_THERE, moment.is_(None), moment > before)
    kept = set(connection.scalars(select(path).select_from(VERSION_JOIN).where(near, stays)))
    frozen = frozen_files.c.path
    beside = or_(frozen.in_(folders_of(folder)), and_(frozen > low, frozen < high))
    kept |= set(connection.scalars(select(frozen).where(beside, frozen_files.c.created_ms > before)))
    named = select(experiments.c.place).where(experiments.c.place.contains(folder.split("/")[-2:][0], autoescape=True))
    placed = {once_served(place) for place in connection.scalars(named)}
    kept |= {one for one in placed if one is not None and f"{one}/".startswith(low)}
    # Any number of versions may be made of one run, and a statement that names them all may be no statement any more.
    files = connection.execute(select(run_files.c.path, run_files.c.bytes).where(_is_below(folder)))
    return {row.path: row.bytes for row in files if kept.isdisjoint(folders_of(row.path))}


def _is_below(folder: str) -> ColumnElement[bool]:
    low, high = bounds(folder)
    return and_(run_files.c.path > low, run_files.c.path < high)
