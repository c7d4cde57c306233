"""`watch`: what each version of a stage did lately, as the replicas that answer saw it."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, ModelArgument, StageOption, here
from holdfast.cli.output import Output, table
from holdfast.errors import UsageError
from holdfast.names import ModelName, StageName
from holdfast.serving.alert_rules import WINDOW_MINUTES
from holdfast.serving.confirm import ALIVE_SECONDS
from holdfast.serving.looking import Looked, look

app = typer.Typer()

_COLUMNS = ("version", "role", "requests", "errors", "refused", "p50 ms", "p95 ms", "p99 ms", "predicted", "shifts")

_CLASSES_SHOWN = 3
"""Classes in one line; `--json` has them all."""


@app.command(epilog=epilog("watch", "holdfast watch churn --minutes 5"))
def watch(
    model: ModelArgument,
    stage: StageOption = "production",
    minutes: Annotated[int, typer.Option("--minutes", help="The window: 1, 5 or 60.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show by version what replicas saw lately: requests, errors, latency, predictions, shifts and alerts."""
    if minutes not in WINDOW_MINUTES:
        raise UsageError(f"there is no window of {minutes} minutes", hint="Take --minutes 1, 5 or 60.")
    registry, name, pointer = here().registry, ModelName(model), StageName(stage)
    registry.stage(name, pointer)
    seen = look(registry.live_replicas(name, pointer, timedelta(seconds=ALIVE_SECONDS)))
    value = {"model": model, "stage": stage, "minutes": minutes, "replicas": [one.to_json() for one in seen]}
    Output(as_json=as_json).result(value, _told(seen, minutes, model, stage))


def _told(seen: Sequence[Looked], minutes: int, model: str, stage: str) -> Iterator[str]:
    if not seen:
        yield f"no replica has reported lately; start one with: holdfast serve {model} --stage {stage}"
    for one in seen:
        yield f"{one.replica.url}: {one.why}" if one.said is None else one.replica.url
        if one.said is not None:
            yield from table(_COLUMNS, [_row(version, minutes) for version in one.said["versions"]])
            yield from (f"  {alert['state']}: {alert['sentence']}" for alert in one.said.get("alerts", []))


def _row(version: JsonObject, minutes: int) -> tuple[str, ...]:
    found: dict[str, Any] = next((one for one in version["windows"] if one["minutes"] == minutes), {})
    latency = found.get("latency_ms", {})
    return (
        f"@{version['version']}",
        str(version["role"] or "let go of"),
        str(found.get("requests", 0)),
        _share(found.get("error_share")),
        str(found.get("refused", 0)),
        *(_number(latency.get(name)) for name in ("p50", "p95", "p99")),
        _classes(found.get("predictions", {})),
        ", ".join(_shifts(found)),
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _classes(counts: dict[str, int]) -> str:
    """The most frequent predictions, with their shares."""
    total = sum(counts.values())
    order = sorted(counts.items(), key=lambda one: -one[1])[:_CLASSES_SHOWN]
    return ", ".join(f"{name} {count / total:.0%}" for name, count in order if count)


def _shifts(found: dict[str, Any]) -> Iterator[str]:
    """What is beyond chance."""
    shift = found.get("prediction_shift")
    named = [*([("predictions", shift)] if shift else []), *((one["column"], one) for one in found["input_shift"])]
    for name, one in named:
        if one["psi"] > one["psi_by_chance"]:
            yield f"{name} PSI {one['psi']:.2f}"
