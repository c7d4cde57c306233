"""The report of a shadow: one value for programs, the same in lines for people, and in Markdown."""

from collections.abc import Iterator

from holdfast.canonical import JsonObject
from holdfast.flow.shadow.counts import BOTH, ONLY_PRIMARY, ONLY_SHADOW, Counts
from holdfast.flow.shadow.figures import figures
from holdfast.flow.shadow.plan import Plan
from holdfast.registry.rollouts import Rollout

__all__ = ["lines", "markdown", "report"]

_GROUPS_SHOWN = 10
"""Groups that a person is shown; the JSON has them all."""

_DROPPED = {
    "busy": "while the primary was busy",
    "full": "because the queue was full",
    "large": "because they were too long",
    "away": "while the shadow's process was started again",
}


def report(rollout: Rollout, counts: Counts) -> JsonObject:
    """What `shadow MODEL --json` prints."""
    found = figures(counts, Plan.from_json(rollout.plan))
    return {**rollout.to_json(), "sentence": _sentence(rollout, found), "figures": found}


def lines(said: JsonObject) -> Iterator[str]:
    """A report for a person."""
    yield said["sentence"]
    why = said["reason"] or "no reason given"
    yield f"  {said['state']} since {said['changed_at']}, rollout {said['rollout']}: {why}"
    for name, value in _rows(said["figures"]):
        yield f"  {name:<18} {value}"


def markdown(said: JsonObject) -> Iterator[str]:
    """A report as Markdown, for a pull request or a page."""
    yield f"### Shadow of {_code(said['model'])} at {_code(said['stage'])}"
    yield ""
    yield said["sentence"]
    yield ""
    yield "| figure | value |"
    yield "|---|---|"
    for name, value in _rows(said["figures"]):
        yield f"| {name} | {_cell(value)} |"
    table = said["figures"]["flips"]
    if table is not None:
        yield ""
        yield f"| primary \\ shadow | {' | '.join(map(_cell, table['labels']))} |"
        yield f"|---|{'---|' * len(table['labels'])}"
        for label, row in zip(table["labels"], table["rows"], strict=True):
            yield f"| {_cell(label)} | {' | '.join(map(str, row))} |"


def _sentence(rollout: Rollout, found: JsonObject) -> str:
    who = f"{rollout.model}@{rollout.number} in the shadow of @{rollout.against} at {rollout.stage}"
    if not found["requests"] and not found["errors"][ONLY_SHADOW]["count"]:
        return f"{who}: nothing was compared yet"
    failed = found["errors"][ONLY_SHADOW]["count"]
    return (
        f"{who}: {found['requests']} of {found['requests_wanted']} requests compared, {_percent(found['agreement'])} "
        f"agree, {failed or 'none'} failed only in the shadow"
    )


def _rows(found: JsonObject) -> Iterator[tuple[str, str]]:
    yield "agreement", f"{_percent(found['agreement'])}, {found['rows_agreed']} of {found['rows']} rows"
    errors = found["errors"]
    codes = ", ".join(f"{count} {code}" for code, count in errors["codes"].items())
    yield (
        "only shadow fails",
        f"{errors[ONLY_SHADOW]['count']}, {_percent(errors[ONLY_SHADOW])}{codes and f': {codes}'}",
    )
    yield "only primary fails", f"{errors[ONLY_PRIMARY]['count']}; both: {errors[BOTH]['count']}"
    table = found["flips"]
    if table is not None:
        flipped = [
            (count, f"{one} -> {other}: {count}")
            for one, row in zip(table["labels"], table["rows"], strict=True)
            for other, count in zip(table["labels"], row, strict=True)
            if one != other and count
        ]
        yield "flips", "; ".join(said for _, said in sorted(flipped, reverse=True)[:_GROUPS_SHOWN]) or "none"
    for name, key in (("score difference", "score_difference"), ("latency ratio", "latency_ratio")):
        if found[key] is not None:
            yield name, ", ".join(f"{part} {_number(found[key][part]['value'])}" for part in ("p50", "p95", "p99"))
    shift = found["score_shift"]
    if shift is not None:
        yield (
            "score shift",
            (
                f"PSI {shift['psi']:.4f} (by chance up to {shift['psi_by_chance']:.4f}), KS {shift['ks']:.4f} "
                f"(p {shift['ks_p']:.2g}), Wasserstein {shift['wasserstein']:.4g}"
            ),
        )
    for group in found["groups"][:_GROUPS_SHOWN]:
        yield f"{group['column']}={group['group']}", f"{_percent(group['agreement'])}"
    dropped = "; ".join(f"{count} {_DROPPED.get(why, why)}" for why, count in found["dropped"].items())
    yield "not mirrored", dropped or "none that were chosen"


def _percent(share: JsonObject) -> str:
    if share["value"] is None:
        return "unknown"
    return f"{share['value']:.2%} ({share['low']:.2%} to {share['high']:.2%})"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _cell(text: str) -> str:
    """A text in a table of Markdown: labels and groups come from bundles and callers."""
    return _code(text) if set(text) & set("|<>`*_[]\\") else text


def _code(text: str) -> str:
    kept = text.replace("`", "'").replace("|", "\\|").replace("\n", " ")
    return f"`{kept}`"
