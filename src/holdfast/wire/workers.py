"""Workers for the verbs that open bundles: in the environment that a bundle names, with the limits that are asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.flow.bundle.assemble import Opener
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.runtime.environment import interpreter_for
from holdfast.runtime.limits import Limits
from holdfast.runtime.predictor import SERVED, Predictor

__all__ = ["opener"]


def opener(cache: Path, limits: Limits = SERVED) -> Opener:
    """What starts a worker for a bundle.

    Args:
        cache: where built environments are kept.
        limits: what its workers may use.
    """

    @contextmanager
    def opened(files: BundleFiles) -> Iterator[Predictor]:
        with Predictor.start(files, interpreter_for(files, cache), limits=limits) as predictor:
            yield predictor

    return opened
