"""`register` and `adopt`: a number for what a run made, or for what another system serves already."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from holdfast.canonical import Json
from holdfast.cli.exit_codes import epilog
from holdfast.cli.options import AsJson, Reason, here
from holdfast.cli.output import Output
from holdfast.cli.signing import signer
from holdfast.errors import UsageError
from holdfast.flow.bundle import Ingredients
from holdfast.flow.bundle.base import BaseVersion, find_base
from holdfast.flow.bundle.card import read_card
from holdfast.flow.bundle.origin import data_input, gather, kept_capture
from holdfast.flow.bundle.wheels import freezer
from holdfast.flow.capture import Capture
from holdfast.flow.capture.arguments import typed
from holdfast.flow.promote import adopt_stage
from holdfast.flow.register import Registered
from holdfast.flow.register import register as register_version
from holdfast.flow.snapshot import snapshot
from holdfast.names import ModelName, Reference, StageName
from holdfast.parts import DataInput, Hyperparameters
from holdfast.parts.data_slice import TRAIN
from holdfast.registry.actions import Action
from holdfast.runtime.signed import sign_version
from holdfast.signing import PrivateKey
from holdfast.store.disk import refusing
from holdfast.tracking.values import Run, RunStatus
from holdfast.wire import Project

app = typer.Typer()

_RUNS_LOOKED_AT_MAX = 50
"""A file of weights that none of the last fifty runs wrote was not trained lately; its run is named by hand."""

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model that gets a version.")]
Weights = Annotated[Path | None, typer.Option("--weights", help="The file or folder with the trained model.")]
Base = Annotated[str | None, typer.Option("--base", help="The version that the weights are a delta on: llama@3.")]
Preprocessing = Annotated[str | None, typer.Option("--preprocessing", help="features.py:featurise, or none.")]
Threshold = Annotated[str | None, typer.Option("--threshold", help="A cut-off, argmax, or identity.")]
Positive = Annotated[str | None, typer.Option("--positive", help="The label at or above the cut-off.")]
HoldoutPath = Annotated[str | None, typer.Option("--holdout", help="Rows that the model was not trained on.")]
Target = Annotated[str | None, typer.Option("--target", help="The holdout's column with the true answer.")]
Metric = Annotated[str | None, typer.Option("--metric", help="The metric that gates judge by.")]
Group = Annotated[list[str] | None, typer.Option("--group", help="A column whose groups are watched; repeatable.")]
Feature = Annotated[list[str] | None, typer.Option("--feature", help="A raw feature; all but the target by default.")]
Train = Annotated[list[Path] | None, typer.Option("--train", help="Data it was trained on; repeatable.")]
Param = Annotated[list[str] | None, typer.Option("--param", help="A hyperparameter, name=value; repeatable.")]
Lock = Annotated[Path | None, typer.Option("--lock", help="The pinned requirements, when no run captured them.")]
CardPath = Annotated[Path | None, typer.Option("--card", help="The model card, in Markdown.")]
RunId = Annotated[str | None, typer.Option("--run", help="The run that made it; by default the one that wrote it.")]
Freeze = Annotated[bool, typer.Option("--freeze-environment", help="Keep the wheels of the environment, too.")]
Pure = Annotated[bool, typer.Option("--side-effect-free", help="Answering changes nothing elsewhere: may be shadowed.")]
Sign = Annotated[bool, typer.Option("--sign", help="Sign the version too, with the key of HOLDFAST_SIGNING_KEY.")]
Semver = Annotated[str | None, typer.Option("--semver", help="The semantic version for outsiders, such as 2.1.0.")]


@app.command(
    epilog=epilog(
        "register",
        "holdfast register churn --weights model.joblib --preprocessing features.py:featurise --threshold 0.42 "
        "--holdout data/holdout.csv --target churned --metric recall",
    )
)
def register(
    model: Model,
    weights: Weights = None,
    base: Base = None,
    preprocessing: Preprocessing = None,
    threshold: Threshold = None,
    positive: Positive = None,
    holdout: HoldoutPath = None,
    target: Target = None,
    metric: Metric = None,
    group: Group = None,
    feature: Feature = None,
    train: Train = None,
    param: Param = None,
    lock: Lock = None,
    card: CardPath = None,
    run: RunId = None,
    freeze_environment: Freeze = False,
    side_effect_free: Pure = False,
    semver: Semver = None,
    sign: Sign = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Freeze the five parts as the next version of a model; what is missing is named, and no gate lets it through."""
    project, output = here(), Output(as_json=as_json)
    key = signer(project.settings) if sign else None
    said = _Said(model, weights, base, preprocessing, threshold, positive, holdout, target, metric, train, param, lock)
    text = None if card is None else read_card(card)
    keeper = freezer(project.store, project.settings.scratch) if freeze_environment else None
    given = said.ingredients(project)
    given = replace(given, groups=_names(group), features=_names(feature), side_effect_free=side_effect_free)
    given = replace(given, card=text, freezer=keeper)
    found, capture = _run_of(project, run, weights, output)
    ready = gather(given, found, capture, project.store)
    registered = register_version(
        ready, project.workshop, project.registry, actor=project.actor, reason=reason, semver=semver
    )
    _also_sign(project, registered, key)
    output.result(registered.to_json(), _lines(registered))


def _also_sign(project: Project, registered: Registered, key: PrivateKey | None) -> None:
    if key is not None:
        sign_version(registered.version, key, project.registry, project.store, actor=project.actor)


@app.command(
    epilog=epilog("adopt", 'holdfast adopt churn --weights old.pkl --stage production --reason "serving since March"')
)
def adopt(
    model: Model,
    weights: Weights = None,
    base: Base = None,
    preprocessing: Preprocessing = None,
    threshold: Threshold = None,
    positive: Positive = None,
    holdout: HoldoutPath = None,
    target: Target = None,
    metric: Metric = None,
    train: Train = None,
    param: Param = None,
    lock: Lock = None,
    stage: Annotated[str | None, typer.Option("--stage", help="The empty stage that it serves already.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Take over a model that is in service: what is known of its past is pinned, what is not is named."""
    project = here()
    said = _Said(model, weights, base, preprocessing, threshold, positive, holdout, target, metric, train, param, lock)
    ready = gather(said.ingredients(project), None, None, project.store)
    registered = register_version(
        ready, project.workshop, project.registry, actor=project.actor, reason=reason, action=Action.VERSION_ADOPT
    )
    value, lines = registered.to_json(), _lines(registered)
    if stage is not None:
        move = adopt_stage(registered.version, StageName(stage), project.registry, actor=project.actor, reason=reason)
        value["move"] = move.to_json()
        lines.append(f"{stage} holds it now, without a gate (event {move.event})")
    Output(as_json=as_json).result(value, lines)


@dataclass(frozen=True, slots=True)
class _Said:
    """What both commands are told about a version, option by option."""

    model: str
    weights: Path | None
    base: str | None
    preprocessing: str | None
    threshold: str | None
    positive: str | None
    holdout: str | None
    target: str | None
    metric: str | None
    train: list[Path] | None
    param: list[str] | None
    lock: Path | None

    def ingredients(self, project: Project) -> Ingredients:
        """The same, parsed; the training data is frozen on the way, once everything else has been understood."""
        name, hyperparameters, lock = ModelName(self.model), _params(self.param), _text(self.lock)
        return Ingredients(
            name=name,
            project=project.settings.project,
            model=None if self.weights is None else self.weights.absolute(),
            base=self._base(project),
            preprocessing=None if self.preprocessing is None else _module(project, self.preprocessing),
            threshold=self.threshold,
            positive=None if self.positive is None else typed(self.positive),
            holdout=None if self.holdout is None else str(Path(self.holdout).absolute()),
            target=self.target,
            metric=self.metric,
            inputs=_inputs(project, self.train),
            hyperparameters=hyperparameters,
            lock=lock,
        )

    def _base(self, project: Project) -> BaseVersion | None:
        return None if self.base is None else find_base(Reference.parse(self.base), project.registry, project.store)


def _module(project: Project, text: str) -> str:
    """`file.py:function`, found from here as a shell completes it, and written as the project sees it."""
    file, separator, function = text.rpartition(":")
    path = Path(file).absolute()
    if not separator or not path.is_relative_to(project.settings.project):
        return text
    return f"{path.relative_to(project.settings.project)}:{function}"


def _names(given: list[str] | None) -> tuple[str, ...] | None:
    return tuple(given) if given else None


def _inputs(project: Project, train: list[Path] | None) -> tuple[DataInput, ...]:
    frozen = [snapshot(project.store, path, root=project.settings.project) for path in train or []]
    return tuple(data_input(one, TRAIN) for one in frozen)


def _params(given: list[str] | None) -> Hyperparameters | None:
    values: dict[str, Json] = {}
    for item in given or []:
        name, separator, text = item.partition("=")
        if not separator or not name:
            raise UsageError(f"{item!r} is no hyperparameter", hint="Write it as name=value, such as --param lr=0.1")
        values[name] = typed(text)
    return Hyperparameters(values) if values else None


def _text(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        with refusing(path):
            return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text", hint="Give a file such as requirements.txt.") from error


def _run_of(
    project: Project, run: str | None, weights: Path | None, output: Output
) -> tuple[Run | None, Capture | None]:
    """The run that a person named, or the newest that wrote this very file, or one in this folder."""
    if run is not None:
        found = project.tracking.run(run)
        return found, kept_capture(found, project.store)
    if weights is None or not weights.exists():
        return None, None
    for candidate in project.tracking.search(limit=_RUNS_LOOKED_AT_MAX):
        capture = kept_capture(candidate, project.store)
        if candidate.status is RunStatus.FINISHED and capture is not None and _wrote(capture, weights):
            return candidate, capture
    output.talk(f"no run is known to have written {weights}; train under: holdfast run -- python train.py")
    return None, None


def _wrote(capture: Capture, weights: Path) -> bool:
    place = weights.resolve()
    return any(Path(seen.path).resolve().is_relative_to(place) and seen.unchanged() for seen in capture.outputs)


def _lines(registered: Registered) -> list[str]:
    version = registered.version
    lines = [f"{version.model}@{version.number}  {version.digest}"]
    lines += [f"  missing {missing.name}: {missing.why}" for missing in registered.manifest.missing()]
    if version.complete:
        lines.append(f"  complete; next: holdfast promote {version.model}@{version.number} --to staging")
    return lines
