"""`list` and `show`: what there is."""

from collections.abc import Iterator
from typing import Annotated

import typer

from holdfast.canonical import JsonObject
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, ReferenceArgument, here
from holdfast.cli.output import Output, bytes_text, table
from holdfast.evidence import CodeState, Environment, FeatureSchema, Holdout, Metrics, RunReference
from holdfast.flow.bundle.adding import how_to_supply
from holdfast.flow.explain import Explained, explain
from holdfast.manifest import Manifest
from holdfast.names import ModelName, Reference
from holdfast.parts import (
    DataSlice,
    EvalThreshold,
    Hyperparameters,
    Missing,
    Part,
    PreprocessingCode,
    Weights,
)
from holdfast.registry import outcome_text

app = typer.Typer()


@app.command("list", epilog=epilog("list", "holdfast list churn"))
def list_versions(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="One model; all by default.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the versions, and the stages that hold them."""
    registry, only = here().registry, None if model is None else ModelName(model)
    versions = registry.versions(only)
    known = {one.name: one.known_as for one in registry.models(only=only)}
    held = {name: registry.stages(name) for name in {version.model for version in versions}}
    archived = {one.digest: one.remote for one in registry.archives()}
    rows = [
        {
            **version.to_json(),
            "known_as": known.get(version.model),
            "archived": archived.get(version.digest),
            "stages": [str(stage.name) for stage in held[version.model] if stage.number == version.number],
        }
        for version in versions
    ]
    Output(as_json=as_json).result({"versions": rows}, _version_rows(rows))


def _version_rows(rows: list[JsonObject]) -> Iterator[str]:
    if not rows:
        yield "no versions yet; register one with: holdfast register"
        return
    renamed = any(row["known_as"] for row in rows)
    yield from table(
        ("version", *(["known as"] if renamed else []), "stages", "complete", "metric", "registered", "by", "digest"),
        (
            (
                f"{row['model']}@{row['version']}",
                *([row["known_as"] or ""] if renamed else []),
                f"(archived in {row['archived']})" if row["archived"] else ", ".join(row["stages"]),
                "yes" if row["complete"] else f"no: {', '.join(row['missing'])}",
                _metric(row["summary"]),
                row["created_at"][:19].replace("T", " "),
                row["created_by"],
                row["digest"][:19],
            )
            for row in rows
        ),
    )


def _metric(summary: JsonObject) -> str:
    name = summary.get("primary")
    value = None if name is None else summary["metrics"].get(name)
    return "" if value is None else f"{name} {value:.4f}"


@app.command(epilog=epilog("show", "holdfast show churn@production"))
def show(reference: ReferenceArgument, as_json: AsJson = False) -> None:
    """Show a version whole: its five parts, the evidence beside them, and the stages that hold it."""
    project = here()
    found = explain(Reference.parse(reference), project.registry, project.store)
    Output(as_json=as_json).result(found.to_json(), _shown(found))


def _shown(found: Explained) -> Iterator[str]:
    version, manifest = found.version, found.manifest
    held = f"  [{', '.join(_stage(found, name) for name in found.stages)}]" if found.stages else ""
    yield f"{version.model}@{version.number}{held}"
    if found.known_as is not None:
        yield f"  known as            {found.known_as!r} to MLflow's clients"
    yield f"  digest              {version.digest}"
    yield f"  registered          {version.to_json()['created_at']} by {version.created_by}"
    yield f"  complete            {'yes' if version.complete else 'no'}"
    for one in found.signatures:
        yield f"  signed              by the key {one.key}, kept by {one.by}; holdfast verify says what it is worth"
    if found.archive is not None:
        away = found.archive.away()
        yield f"  archived            in {found.archive.remote} since {found.archive.to_json()['since']}; {away.hint}"
    for rehearsal in found.rehearsals:
        brief = rehearsal.brief()
        what = f"gone back to from @{brief['from']} for {brief['stage']}: {brief['outcome']}, {brief['created_at']}"
        yield f"  rehearsed           {what} by {rehearsal.created_by}"
    yield "five parts"
    for name, part in manifest.parts.by_name().items():
        yield f"  {name:<19} {_part(part)}"
        if isinstance(part, Missing):
            yield _to_add(part, manifest)
    yield "evidence"
    for name, sentence in _evidence(manifest):
        yield f"  {name:<19} {sentence}"
        piece = getattr(manifest.evidence, name)
        if isinstance(piece, Missing):
            yield _to_add(piece, manifest)


def _to_add(missing: Missing, manifest: Manifest) -> str:
    return f"  {'':<19} add: {how_to_supply(missing, manifest)}"


def _stage(found: Explained, name: str) -> str:
    waived = found.waived.get(name, ())
    return f"{name}: {outcome_text('pass', waived)}" if waived else name


def _part(part: Part | Missing) -> str:
    match part:
        case Missing():
            return f"MISSING: {part.why}"
        case Weights():
            risk = "; can run code on load" if part.executes_code else ""
            delta = "" if part.base is None else f", an adapter on {part.base} ({part.base.digest.short})"
            return f"{part.model_class} as {part.format}{delta}{risk}"
        case DataSlice():
            return "; ".join(f"{i.role} {i.name} ({bytes_text(i.bytes)}, {i.digest.short})" for i in part.inputs)
        case PreprocessingCode():
            return f"{part.entry_point or part.kind}, {len(part.files)} file(s)"
        case Hyperparameters():
            seeds = f"; seeds {', '.join(f'{k}={v}' for k, v in part.seeds.items())}" if part.seeds else ""
            shown = ", ".join(f"{name}={value}" for name, value in list(part.values.items())[:6])
            more = f", {len(part.values) - 6} more" if len(part.values) > 6 else ""  # noqa: PLR2004 - a line of text
            return f"{shown}{more}{seeds}"
        case EvalThreshold():
            cut = "" if part.value is None else f" at {part.value:g}"
            on = f" on {part.slice}" if part.slice else ""
            chosen = f", chosen by {part.metric}{on}" if part.metric else ""
            return f"{part.rule}{cut}{chosen}"


def _evidence(manifest: Manifest) -> Iterator[tuple[str, str]]:
    evidence = manifest.evidence
    pieces = (evidence.environment, evidence.schema, evidence.metrics, evidence.holdout, evidence.run, evidence.code)
    for name, piece in zip(("environment", "schema", "metrics", "holdout", "run", "code"), pieces, strict=True):
        match piece:
            case Missing():
                yield name, f"MISSING: {piece.why}"
            case Environment():
                yield name, f"python {piece.python}, pinned in {piece.lock}"
            case FeatureSchema():
                yield name, f"{len(piece.columns)} columns, as {piece.container}"
            case Metrics():
                said = ", ".join(f"{key} {value:.4f}" for key, value in sorted(piece.values.items()))
                yield name, f"{said} on {piece.rows} rows"
            case Holdout():
                groups = f", groups {', '.join(piece.groups)}" if piece.groups else ""
                yield name, f"{piece.count} rows{_origin(evidence.run)}, target {piece.target}{groups}"
            case RunReference():
                yield name, f"{piece.id} {piece.values.get('name', '')}"
            case CodeState():
                yield name, f"{piece.commit or 'no commit'}{_difference(piece)}"


def _difference(code: CodeState) -> str:
    """How the files differed from the commit, and whether the difference was kept."""
    if code.values.get("compared") is False:
        return "; whether the files differed from it is not known"
    if not code.dirty:
        return ""
    kept = "not kept" if code.patch is None else "kept as a patch"
    return f" with uncommitted changes, {kept}" if code.commit else f"; the files were {kept}"


def _origin(run: RunReference | Missing) -> str:
    """Where the rows of a holdout were taken from, where whoever recorded them said it: it may be the training data."""
    told = run.values.get("mlflow") if isinstance(run, RunReference) else None
    rows = told.get("holdout_of") if isinstance(told, dict) else None
    return f" of its {rows} data" if isinstance(rows, str) else ""
