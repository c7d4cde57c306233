"""Workers for the verbs that open bundles: in the environment that a bundle names, with the limits that are asked."""

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.config import Settings
from holdfast.flow.bundle.assemble import Opener
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import Environments
from holdfast.runtime.limits import Limits
from holdfast.runtime.predictor import SERVED, Predictor
from holdfast.store.interface import Store

__all__ = ["environments", "opener"]


def environments(settings: Settings, store: Store | None = None) -> Environments:
    """Where interpreters come from, as the settings have it."""
    return Environments(settings.cache, store, settings.build_from_source, settings.environments_bytes_max)


def opener(kept: Environments, limits: Limits = SERVED) -> Opener:
    """What starts a worker for a bundle.

    Args:
        kept: where interpreters come from.
        limits: what its workers may use.
    """

    @contextmanager
    def opened(files: BundleFiles) -> Iterator[Predictor]:
        with Predictor.start(files, kept.interpreter_for(files), limits=limits) as predictor:
            yield predictor

    return opened
