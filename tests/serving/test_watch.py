"""What watches a replica goes on watching, without any process."""

from typing import Any, cast

from holdfast.runtime.shapes import INVOCATIONS
from holdfast.serving.observing import Observed
from holdfast.serving.route import PRIMARY, Route
from holdfast.serving.settings import WatchSettings
from holdfast.serving.watch import Watch
from tests.serving.stages import run, until


class Torn(Watch):
    """Does not expect its first request."""

    torn = False

    def count(self, most: int) -> None:
        if self._queue and not self.torn:
            self.torn = True
            raise RuntimeError("nobody expected this")
        super().count(most)


class Version:
    """As much of a live version as is counted."""

    number = 1
    schema = None


def observed(request_id: str) -> Observed:
    version = cast("Any", Version())
    return Observed(
        request_id, 0.0, Route(1, version), version, PRIMARY, None, 0.001, INVOCATIONS, b"{}", b'{"predictions":[1]}',
        None,
    )  # fmt: skip


def test_requests_are_counted_again_after_an_unexpected_error() -> None:
    watch = Torn(WatchSettings(), ())

    async def work() -> None:
        await watch.start()
        watch.see(observed("r1"))
        await until(lambda: watch.torn, "the error")
        watch.see(observed("r2"))
        await until(lambda: not watch._queue, "both requests")
        await watch.stop()

    run(work)
