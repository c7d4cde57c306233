"""Aliases and stages of MLflow: pointers of the registry, moved with their events.

An alias is a stage. Setting it moves the stage, deleting it empties the stage, and both are events; how the client
wrote the alias, and what a version says of itself beside the stages, is written down in the same transaction. Here move
stages that no gate protects; those that one does, `holdfast.flow.promote` moves, and `moved` writes down the rest.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, select, text, update

from holdfast.canonical import JsonObject
from holdfast.database.engine import Database
from holdfast.errors import StageMoved, UsageError
from holdfast.experiments.names import known_row
from holdfast.experiments.naming import alias_name, model_name, of_stage, other_stage
from holdfast.experiments.registered import ARCHIVED, NONE, STAGES, RegisteredVersion
from holdfast.experiments.registered_rows import load_versions, milliseconds, require_row
from holdfast.experiments.tables import aliases, registered_versions
from holdfast.experiments.version_words import known_version, touch_model
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.actions import Action
from holdfast.registry.clearing import ClearStage
from holdfast.registry.moves import clear, move
from holdfast.registry.stages import define, look_up
from holdfast.registry.values import MoveStage, Stage

__all__ = ["SqlPointing"]

_OURS = frozenset(STAGES.values())

_SPEAK = text(
    "INSERT INTO aliases (model, stage, alias) VALUES (:model, :stage, :alias) "
    "ON CONFLICT (model, stage) DO UPDATE SET alias = excluded.alias"
)


class SqlPointing:
    """Aliases and stages, in a database; it keeps no state of its own.

    Args:
        database: at the schema of this Holdfast.
        clock: gives the moment, in UTC.
        meant: aliases that the settings give a stage.
    """

    def __init__(
        self, database: Database, clock: Callable[[], datetime], meant: Mapping[str, StageName] | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._meant = meant or {}

    @property
    def meant(self) -> Mapping[str, StageName]:
        """Aliases that the settings give a stage."""
        return self._meant

    def stage_of(self, model: ModelName, alias: str) -> StageName:
        """The stage that an alias of a model moves.

        Raises:
            UsageError: nothing can be called so.
        """
        alias_name(alias)
        with self._database.read() as connection:
            rows = connection.execute(select(aliases.c.stage, aliases.c.alias).where(aliases.c.model == str(model)))
            spoken = {row.stage: row.alias for row in rows}
        known = next((StageName(stage) for stage, word in spoken.items() if word == alias), None)
        if alias in self._meant:
            return self._meant[alias]
        if known is not None:
            return known
        stage = of_stage(alias, self._meant)
        # Who set it by an alias of the settings has not taken its own name from it.
        is_free = spoken.get(str(stage), alias) in {alias, *self._meant}
        return stage if is_free else other_stage(alias)

    def holder(self, model: ModelName, stage: StageName) -> VersionNumber | None:
        """The version that holds a stage; None where nothing does, or there is no such stage."""
        with self._database.read() as connection:
            found = look_up(connection, model, stage)
        return None if found is None else found.number

    def by_alias(self, name: str, alias: str) -> RegisteredVersion:
        """The version that an alias names.

        Raises:
            NotFound: there is no such model.
            UsageError: there is no such alias.
        """
        model_name(name)
        alias_name(alias)
        with self._database.read() as connection:
            model = ModelName(require_row(connection, name).model)
        number = self.holder(model, self.stage_of(model, alias))
        if number is None:
            raise UsageError(f"Registered model alias {alias} not found.", hint="Set it first.", alias=alias)
        with self._database.view() as connection:
            return load_versions(connection, [(str(model), number)], self._meant)[0]

    def define(self, model: ModelName, stage: StageName, actor: str) -> Stage:
        """A stage of a model as it stands; made where there is none.

        Raises:
            TooLarge: the model has as many stages as a model can have.
        """
        with self._database.read() as connection:
            found = look_up(connection, model, stage)
        if found is not None:
            return found
        with self._database.write() as connection:
            return self._stage(connection, model, stage, self._clock(), actor)

    def point(self, name: str, number: int, stage: StageName, actor: str, *, alias: str | None = None) -> None:
        """Moves a stage to a version, with its event; where it holds it already, nothing is written in the log.

        Args:
            name: of the model.
            number: of the version.
            stage: which one.
            actor: who asks.
            alias: as the client wrote it; None: it moved a stage of MLflow's.

        Raises:
            NotFound: there is no such model, or no such version.
            GateRefused: the registry has a policy in force, which no verdict is named for here.
            Archived: the version's bytes need not be here.
        """
        with self._database.write() as connection:
            now = self._clock()
            model = ModelName(known_version(connection, name, number).model)
            there = self._stage(connection, model, stage, now, actor)
            if there.number != number:
                asked = MoveStage(
                    model=model,
                    stage=stage,
                    to=VersionNumber(number),
                    expect=there.number,
                    action=Action.STAGE_PROMOTE,
                    reason=_reason(alias, stage),
                    details=_details(alias),
                )
                move(connection, asked, now, actor)
            self._write_down(connection, model, number, stage, now, alias=alias, before=there.number)

    def moved(
        self, model: ModelName, number: int, stage: StageName, before: VersionNumber | None, *, alias: str | None = None
    ) -> None:
        """Writes down what goes with a move that was made elsewhere, through a gate.

        Args:
            model: whose stage.
            number: the version that holds it now.
            stage: which one.
            before: the version that held it before.
            alias: as for `point`.
        """
        with self._database.change() as connection:
            now = self._clock()
            self._write_down(connection, model, number, stage, now, alias=alias, before=before)

    def clear(
        self, name: str, stage: StageName, actor: str, *, held: VersionNumber | None, alias: str | None = None
    ) -> None:
        """Empties a stage, with its event, where something holds it; and forgets how the alias was written.

        Args:
            name: of the model.
            stage: which one.
            actor: who asks.
            held: the version that holds it, of which the caller has found out that they may take it from there.
            alias: as for `point`.

        Raises:
            NotFound: there is no such model.
            StageMoved: another version has come to hold it.
        """
        with self._database.write() as connection:
            now = self._clock()
            model = known_row(connection, name)
            there = look_up(connection, model, stage)
            if there is not None and there.number is not None:
                if there.number != held:
                    raise StageMoved(
                        f"{stage} of {model} has moved to version {there.number} meanwhile",
                        hint="Look at what holds it now, and ask again.",
                        stage=str(stage),
                        version=there.number,
                    )
                reason = f"{_reason(alias, stage)}, to nothing"
                clear(connection, ClearStage(model, stage, there.number, reason, details=_details(alias)), now, actor)
            connection.execute(delete(aliases).where(aliases.c.model == str(model), aliases.c.stage == str(stage)))

    def rest(self, name: str, number: int, word: str) -> None:
        """Says what a version is that holds neither of MLflow's stages: `None`, or `Archived`.

        Raises:
            NotFound: there is no such model, or no such version.
        """
        with self._database.change() as connection:
            now = self._clock()
            row = known_version(connection, name, number)
            moment = milliseconds(now)
            _rest(connection, row.model, number, word, moment)
            touch_model(connection, ModelName(row.model), moment)

    def _stage(self, connection: Connection, model: ModelName, stage: StageName, now: datetime, actor: str) -> Stage:
        return look_up(connection, model, stage) or define(connection, model, stage, now, actor)

    def _write_down(
        self,
        connection: Connection,
        model: ModelName,
        number: int,
        stage: StageName,
        now: datetime,
        *,
        alias: str | None,
        before: VersionNumber | None,
    ) -> None:
        if alias is not None:
            connection.execute(_SPEAK, {"model": str(model), "stage": str(stage), "alias": alias})
            return
        moment = milliseconds(now)
        if stage in _OURS and before is not None and before != number:
            _rest(connection, str(model), before, ARCHIVED, moment)
        _rest(connection, str(model), number, NONE, moment)
        touch_model(connection, model, moment)


def _rest(connection: Connection, model: str, number: int, word: str, moment: int) -> None:
    found = registered_versions.c
    this = (found.model == model) & (found.number == number)
    connection.execute(update(registered_versions).where(this).values(rest=word, updated_ms=moment))


def _reason(alias: str | None, stage: StageName) -> str:
    return f"an MLflow client moved the alias {alias}" if alias else f"an MLflow client moved the stage {stage}"


def _details(alias: str | None) -> JsonObject:
    return {"client": "mlflow"} if alias is None else {"client": "mlflow", "alias": alias}
