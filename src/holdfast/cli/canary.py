"""`canary`: give a version a share of the requests that another one answers, and see whether it is worse."""

import re
import time
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AnyColumn, AsJson, Reason, StageOption, here
from holdfast.cli.output import Output, duration_text
from holdfast.errors import GateRefused, UsageError
from holdfast.flow.gate import GateRequest
from holdfast.flow.promote import Promotion
from holdfast.flow.promote import promote as promote_version
from holdfast.names import ModelName, Reference, StageName
from holdfast.registry.rollouts import Rollout, RolloutState
from holdfast.serving.keys import KeySource
from holdfast.serving.plan import ALPHA, GUARDS, CanaryPlan, Guard, Step
from holdfast.serving.trying import Standing, Trial, Wish, begin, detection, last, standing, turn
from holdfast.wire import Project, utc_now

app = typer.Typer()

_LOOK_SECONDS = 1.0
"""How often a canary is looked at that is watched: with the heartbeat of its replicas."""

_ALL = ",".join(GUARDS)

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

Percent = Annotated[str | None, typer.Option("--percent", help="The share of the requests, in one step.")]
Steps = Annotated[str | None, typer.Option("--steps", help="Several shares in percent: 1,5,25,50.")]
Each = Annotated[str, typer.Option("--each", help="How long a step lasts at least: 90s, 10m, 2h, 1d.")]
Requests = Annotated[int, typer.Option("--requests", min=0, help="How many the version is given at least, each step.")]
Key = Annotated[str, typer.Option("--key", help="What assigns a request: request, header:x-user or column:user_id.")]
Alpha = Annotated[float, typer.Option("--alpha", help="How often a version that is no worse may be aborted.")]
Guards = Annotated[str, typer.Option("--guard", help="What is compared: errors,latency,scores,truth.")]
Slower = Annotated[float, typer.Option("--latency-ratio", help="How many times slower it may be.")]
Shift = Annotated[float, typer.Option("--score-shift", help="Which part of its scores may lie elsewhere.")]
Effect = Annotated[float | None, typer.Option("--truth-effect", help="How much farther from a true number it may be.")]
Patience = Annotated[str, typer.Option("--patience", help="After how long a step that lacks requests is held.")]
Rate = Annotated[float | None, typer.Option("--rate", min=0.0, help="Requests in a second, to tell times instead.")]
Watch = Annotated[bool, typer.Option("--watch", help="Stay until it has ended, or waits for a person.")]
Promote = Annotated[bool, typer.Option("--promote", help="With --watch: promote it when its steps are done.")]


@app.command(epilog=epilog("canary", "holdfast canary churn@5 --percent 10 --key header:x-user"))
def canary(
    target: Annotated[str, typer.Argument(metavar="MODEL[@VERSION]", help="churn@5 begins; churn reports.")],
    stage: StageOption = "production",
    percent: Percent = None,
    steps: Steps = None,
    each: Each = "10m",
    requests: Requests = 1_000,
    key: Key = "request",
    any_column: AnyColumn = False,
    alpha: Alpha = ALPHA,
    guard: Guards = _ALL,
    latency_ratio: Slower = 1.5,
    score_shift: Shift = 0.2,
    truth_effect: Effect = None,
    patience: Patience = "1d",
    rate: Rate = None,
    abort: Annotated[bool, typer.Option("--abort", help="End it: all requests go back.")] = False,
    hold: Annotated[bool, typer.Option("--hold", help="Let it stay at its step.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let a held one go on at its step.")] = False,
    advance: Annotated[bool, typer.Option("--advance", help="Take the next step now, held or not.")] = False,
    watch: Watch = False,
    promote: Promote = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Give a version a share of a stage's requests, step by step, and take it away again when it is worse."""
    project, output = here(), Output(as_json=as_json)
    asked = _turn(abort=abort, hold=hold, resume=resume, advance=advance)
    _refuse_idle(percent, steps, promote=promote, watch=watch)
    if "@" in target or target.startswith("models:"):
        _refuse_mixed(target, asked)
        shares = _steps(steps or percent, _seconds(each), requests)
        others = (_guards(guard), alpha, _seconds(patience), latency_ratio, score_shift)
        plan = CanaryPlan(shares, KeySource.parse(key), *others, truth_effect=truth_effect)
        request = GateRequest(Reference.parse(target), StageName(stage), project.actor, project.policy)
        found = begin(Trial(request, plan, reason, any_column), project.workbench, project.registry).rollout
    else:
        found = _turned(project, last(ModelName(target), StageName(stage), project.registry), asked, reason)
    ended = _watched(project, output, found, reason, also_promote=promote) if watch else _told(project, found, rate)
    output.result(*ended)


def _turned(project: Project, found: Rollout, asked: Wish | None, reason: str) -> Rollout:
    if asked is None:
        return found
    if not reason.strip():
        raise UsageError("a turn of a canary needs a reason", hint='Say why: --reason "complaints from the shop"')
    return turn(standing(found, project.registry, utc_now()), asked, reason, project.registry, project.actor)


def _told(project: Project, rollout: Rollout, rate: float | None) -> tuple[JsonObject, list[str]]:
    """A canary as it stands, and how long regressions would take to be found."""
    found = standing(rollout, project.registry, utc_now())
    rate = rate or found.rate
    table = list(detection(found.plan, rollout.step, rate)) if found.has_share else []
    value: JsonObject = {**found.to_json(), "rate": rate, "detection": [*table]}
    return value, [*_lines(found), *_found_within(table, rate)]


def _watched(
    project: Project, output: Output, rollout: Rollout, reason: str, *, also_promote: bool
) -> tuple[JsonObject, list[str]]:
    """Stay with a canary until it is over or waits for a person; what it came to.

    Raises:
        GateRefused: it was aborted.
    """
    told = ""
    while True:
        found = standing(project.registry.rollout(rollout.id), project.registry, utc_now())
        now = "\n".join(_lines(found)[:2])
        if now != told and not output.as_json:
            output.report({}, [now])
        told = now
        if found.rollout.state is not RolloutState.RUNNING:
            break
        time.sleep(_LOOK_SECONDS)
    if found.rollout.state is RolloutState.ABORTED:
        raise GateRefused(
            f"the canary of {rollout.model}@{rollout.number} was aborted: {found.rollout.reason}",
            hint=f"Every request goes to @{rollout.against} again. See: holdfast canary {rollout.model}",
            **found.to_json(),
        )
    if not (found.done and also_promote):
        return found.to_json(), []
    request = GateRequest(
        Reference.parse(f"{rollout.model}@{rollout.number}"), rollout.stage, project.actor, project.policy
    )
    promoted = promote_version(
        Promotion(request, reason or found.rollout.reason, rollout.against), project.workbench, project.registry
    ).to_json()
    return {**found.to_json(), "promoted": promoted}, [
        f"{rollout.stage} of {rollout.model}: @{rollout.against} -> @{rollout.number}  (event {promoted['event']})"
    ]


def _lines(found: Standing) -> list[str]:
    rollout, plan = found.rollout, found.plan
    step = min(rollout.step + 1, len(plan.steps))
    whereabouts = f"step {step} of {len(plan.steps)}, {plan.step(rollout.step).share / 100:g} % by {plan.key}"
    lines = [
        f"{rollout.model}@{rollout.number} beside @{rollout.against} at {rollout.stage}: {rollout.state}, {whereabouts}"
    ]
    if rollout.reason:
        lines.append(f"  {rollout.reason}")
    if not found.has_share:
        return lines
    who = "1 replica counts" if found.replicas == 1 else f"{found.replicas} replicas count"
    lines.append(f"  now: {found.judgement.sentence} ({who})")
    lines += [f"  {name:<10} {_arm(found.judgement.figures[name])}" for name in ("candidate", "other")]
    if bare := found.judgement.figures["without_key"]:
        lines.append(f"  without the key: {bare} of these, which were assigned by their ids")
    if found.done:
        lines.append(f"  promote it: holdfast promote {rollout.model}@{rollout.number} --to {rollout.stage}")
    return lines


def _arm(arm: Any) -> str:
    codes = "".join(f", {code} {count}" for code, count in sorted(arm["codes"].items()))
    wrong = f"; {arm['mistakes']} of {arm['truths']} wrong" if arm["truths"] else ""
    return f"{arm['requests']} requests, {arm['errors']} errors{codes}{wrong}"


def _found_within(table: Sequence[JsonObject], rate: float | None) -> Iterator[str]:
    """With what the traffic is, how long a worse version would stay."""
    if not table:
        return
    traffic = f" at {rate:.3g} requests a second" if rate else ""
    yield f"  a version that fails more often is found{traffic}, in half of all canaries, within about"
    for row in table:
        rise = f"{row['errors_from']:.3g} -> {row['errors_to']:.3g}"
        if row["requests"] is None:
            yield f"    errors {rise:<13} never: so small a rise is not to be seen with this share"
        else:
            within = f", {duration_text(row['seconds'])}" if row["seconds"] is not None else ""
            yield f"    errors {rise:<13} {row['requests']} requests{within}"


def _turn(*, abort: bool, hold: bool, resume: bool, advance: bool) -> Wish | None:
    every = ((Wish.ABORT, abort), (Wish.HOLD, hold), (Wish.RESUME, resume), (Wish.ADVANCE, advance))
    asked = [wish for wish, wanted in every if wanted]
    if len(asked) > 1:
        raise UsageError("one turn at a time", hint="Give one of --abort, --hold, --resume and --advance.")
    return asked[0] if asked else None


def _refuse_idle(percent: str | None, steps: str | None, *, promote: bool, watch: bool) -> None:
    """Refuse options that would be passed over in silence."""
    if percent is not None and steps is not None:
        raise UsageError(
            "--percent is a plan of one step, and --steps one of several",
            hint="Give --percent 10 or --steps 1,5,25,50.",
        )
    if promote and not watch:
        raise UsageError(
            "--promote waits for the last step, and only --watch stays so long",
            hint="Give both, or promote it when it has passed: holdfast promote",
        )


def _refuse_mixed(target: str, asked: Wish | None) -> None:
    if asked is not None:
        model = re.split("[@/]", target.removeprefix("models:/"))[0]
        raise UsageError(
            "a canary is begun by a version, and turned by its model",
            hint=f'Name the model alone: holdfast canary {model} --abort --reason "..."',
        )


def _steps(shares: str | None, seconds: float, requests: int) -> tuple[Step, ...]:
    """`1,5,25,50`, in percent."""
    if shares is None:
        raise UsageError("how large a share?", hint="Give --percent 10, or several: --steps 1,5,25,50.")
    try:
        return tuple(Step(round(float(text.strip(" %")) * 100), seconds, requests) for text in shares.split(","))
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{shares!r} are no shares in percent", hint="Write them as 1,5,25,50.") from error


def _guards(text: str) -> tuple[Guard, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := sorted({*names} - {*GUARDS}):
        raise UsageError(f"there is no guard {unknown[0]!r}", hint=f"There are: {', '.join(GUARDS)}.")
    return tuple(map(Guard, names))


def _seconds(text: str) -> float:
    """`90s`, `10m`, `2h`, `1d`."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smhd])", text)
    if found is None:
        raise UsageError(f"{text!r} is no time", hint="Write it as 90s, 10m, 2h or 1d.")
    return float(found[1]) * _UNITS[found[2]]
