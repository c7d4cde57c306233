"""The rollouts of a registry behind a server."""

from collections.abc import Callable, Sequence
from http import HTTPStatus

from holdfast.canonical import JsonObject, Reader, decode
from holdfast.database.times import from_text
from holdfast.digest import Digest
from holdfast.names import ModelName, StageName, VersionNumber
from holdfast.registry.rollouts import (
    NewRollout,
    Rollout,
    RolloutKind,
    RolloutState,
    RouteMark,
    Tally,
    Truth,
    Turn,
)
from holdfast.service.line import Line, quoted

__all__ = ["HttpRollouts"]

_NOT_MODIFIED = frozenset({HTTPStatus.NOT_MODIFIED})


class HttpRollouts:
    """`Rollouts` of a server, for a class that holds its line as `_line`."""

    _line: Line
    _new_id: Callable[[], str]

    def begin_rollout(self, new: NewRollout, actor: str, *, key: str | None = None) -> Rollout:
        """See `Rollouts.begin_rollout`."""
        body: JsonObject = {
            "kind": str(new.kind),
            "version": new.number,
            "expect": new.expect,
            "plan": new.plan,
            "reason": new.reason,
            "verdict": None if new.verdict is None else str(new.verdict),
        }
        path = f"{_stage(new.model, new.stage)}/rollouts"
        return _rollout(self._line.send("POST", path, body, actor=actor, key=key or self._new_id()))

    def turn_rollout(self, turn: Turn, actor: str, *, key: str | None = None) -> Rollout:
        """See `Rollouts.turn_rollout`."""
        body: JsonObject = {
            "expect": turn.expect,
            "state": str(turn.state),
            "step": turn.step,
            "reason": turn.reason,
            "figures": turn.figures,
        }
        path = f"/rollouts/{turn.rollout}/turns"
        return _rollout(self._line.send("POST", path, body, actor=actor, key=key or self._new_id()))

    def rollout(self, rollout: int) -> Rollout:
        """See `Rollouts.rollout`."""
        return _rollout(self._line.get(f"/rollouts/{rollout}"))

    def rollouts(
        self, model: ModelName, stage: StageName, *, kind: RolloutKind | None = None, limit: int = 100
    ) -> tuple[Rollout, ...]:
        """See `Rollouts.rollouts`."""
        only = None if kind is None else str(kind)
        found = Reader(self._line.get(f"{_stage(model, stage)}/rollouts", kind=only, limit=limit), "rollouts")
        return tuple(map(_rollout, found.items("rollouts")))

    def route_mark(
        self, model: ModelName, stage: StageName, *, known: RouteMark | None = None, wait_seconds: float = 0.0
    ) -> RouteMark:
        """See `Rollouts.route_mark`."""
        answer = self._line.exchange(
            "GET",
            f"{_stage(model, stage)}/mark",
            headers={} if known is None else {"if-none-match": known.tag},
            accept=_NOT_MODIFIED,
            wait_seconds=0.0 if known is None else wait_seconds,
        )
        if known is not None and answer.status_code in _NOT_MODIFIED:
            return known
        found = Reader(decode(answer.content, what="the mark of a route"), "mark")
        return RouteMark(found.integer("epoch"), found.integer("rollout"))

    def tally(self, tally: Tally) -> None:
        """See `Rollouts.tally`."""
        body: JsonObject = {"step": tally.step, "replica": tally.replica, "counts": tally.counts}
        self._line.send("PUT", f"/rollouts/{tally.rollout}/tallies", body, again=True)

    def tallies(self, rollout: int) -> tuple[Tally, ...]:
        """See `Rollouts.tallies`."""
        found = Reader(self._line.get(f"/rollouts/{rollout}/tallies"), "tallies").items("tallies")
        return tuple(_tally(Reader(one, "tally")) for one in found)

    def put_truths(self, model: ModelName, truths: Sequence[Truth], actor: str) -> int:
        """See `Rollouts.put_truths`."""
        said = [{"request": one.request, "place": one.place, "value": one.value} for one in truths]
        sent = self._line.send("POST", _truths(model), {"truths": said}, actor=actor, again=True)
        return Reader(sent, "truths").integer("index")

    def truths(self, model: ModelName, *, after: int = 0, limit: int = 1000) -> tuple[Truth, ...]:
        """See `Rollouts.truths`."""
        found = Reader(self._line.get(_truths(model), after=after, limit=limit), "truths").items("truths")
        return tuple(_truth(Reader(one, "truth")) for one in found)


def _rollout(sent: object) -> Rollout:
    found = Reader(sent, "rollout")
    verdict = found.maybe_text("verdict")
    return Rollout(
        id=found.integer("rollout"),
        kind=RolloutKind(found.text("kind")),
        model=ModelName(found.text("model")),
        stage=StageName(found.text("stage")),
        epoch=found.integer("epoch"),
        number=VersionNumber(found.integer("version")),
        digest=Digest.parse(found.text("digest")),
        against=VersionNumber(found.integer("against")),
        against_digest=Digest.parse(found.text("against_digest")),
        plan=found.mapping("plan"),
        state=RolloutState(found.text("state")),
        step=found.integer("step"),
        reason=found.text("reason"),
        figures=found.mapping("figures"),
        verdict=None if verdict is None else Digest.parse(verdict),
        event=found.integer("event"),
        began_at=from_text(found.text("began_at")),
        changed_at=from_text(found.text("changed_at")),
        changed_by=found.text("changed_by"),
    )


def _tally(found: Reader) -> Tally:
    return Tally(found.integer("rollout"), found.integer("step"), found.text("replica"), found.mapping("counts"))


def _truth(found: Reader) -> Truth:
    return Truth(found.text("request"), found.any("value"), found.integer("place"), found.integer("index"))


def _stage(model: ModelName, stage: StageName) -> str:
    return f"/models/{quoted(model)}/stages/{quoted(stage)}"


def _truths(model: ModelName) -> str:
    return f"/models/{quoted(model)}/truths"
