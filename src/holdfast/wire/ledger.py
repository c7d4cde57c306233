"""The decision ledger of a project: what writes it in a replica, what reads it, and what asks a bundle again."""

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.names import ModelName, StageName
from holdfast.registry import Registry
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.predictor import Predictor
from holdfast.serving.ledger import replaying, sealing
from holdfast.serving.ledger.finding import Ledger
from holdfast.serving.ledger.recorder import Recorder
from holdfast.serving.settings import ServeSettings
from holdfast.wire.project import Project, utc_now
from holdfast.wire.workers import environments

__all__ = ["ledger_of", "recorder_of", "replay_bench"]


def recorder_of(
    project: Project, registry: Registry, model: ModelName, stage: StageName, replica: str
) -> Recorder | None:
    """What writes the ledger of a replica; None where the project asks for none.

    Args:
        project: has the policy and the store.
        registry: as the replica has it; it may be away.
        model: whose stage the replica follows.
        stage: which one.
        replica: its id.

    Raises:
        UsageError: the policy file is not valid.
        MissingExtra: pyarrow is not installed.
    """
    settings = ServeSettings.of(project.policy.document, model, project.policy.where).ledger
    if not settings.wanted:
        return None
    bench = sealing.Bench(project.store, registry, project.actor, utc_now)
    return Recorder(project.settings.home, model, stage, replica, settings=settings, bench=bench)


def ledger_of(project: Project) -> Ledger:
    """What reads it."""
    return Ledger(project.registry, project.store, project.settings.home, utc_now())


def replay_bench(project: Project) -> replaying.Bench:
    """What asks a bundle again, in the environment that it names."""
    kept = environments(project.settings, project.store)

    @contextmanager
    def opened(files: BundleFiles, number: int) -> Iterator[Predictor]:
        with Predictor.start(files, kept.interpreter_for(files), version=number) as predictor:
            yield predictor

    return replaying.Bench(project.registry, project.store, project.settings.cache, opened)
