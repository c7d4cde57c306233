"""Versions on a Ray cluster: the same router and the same bundles, with the workers wherever the cluster puts them.

Each version that a replica holds open is a Ray Serve application of its own, named by its bundle's digest, with one
worker process in each of its Ray replicas. A stage's move is a pointer in the router, as on one machine: no application
is ever updated, so nothing rolls, and last-known-good stays warm. Requests and answers pass through as bytes.

What an application, its replicas and a handle are: https://docs.ray.io, Ray Serve. A Ray cluster runs whatever whoever
reaches it sends: a local one listens on the loopback interface only, and one that spans machines belongs into a network
of its own.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from holdfast.canonical import JsonObject
from holdfast.digest import Digest
from holdfast.errors import BundleFailed, Busy, HoldfastError, MissingExtra, Unavailable, from_json
from holdfast.runtime.limits import SECONDS_MAX
from holdfast.serving.opening import Opened, Opener
from holdfast.serving.pipe import RETRY_SECONDS, late
from holdfast.serving.queueing import WAITING_MAX, Batching
from holdfast.serving.worker import Worker

if TYPE_CHECKING:
    from ray.serve import Deployment
    from ray.serve.handle import DeploymentHandle

__all__ = ["REPLICAS_MAX", "Cluster", "OnNode"]

_LOG = logging.getLogger("holdfast.serving")

REPLICAS_MAX = 256
"""Ray replicas of one version: each is a worker process with the whole model in memory."""

_DOWN_SECONDS_MAX = 60.0
"""A worker restarts itself; one that is still down after this long is given another node by Ray."""

_LOOK_SECONDS = 0.2
"""How often a Ray replica that ends looks whether its requests are answered; by then the router asks nothing more."""

_BUNDLE = "bundle"


class OnNode:
    """One version in one Ray replica: opens the bundle on its node, and answers with a worker process beside it."""

    def __init__(self, opener_of: Callable[[], Opener], stamp: JsonObject, digest: str) -> None:
        """Args: opener_of: gives the node's own way to bundles; stamp: for the answers; digest: of the bundle."""
        self._opener_of = opener_of
        self._stamp = stamp
        self._digest = Digest.parse(digest)
        self._opening: asyncio.Task[Worker] | None = None
        self._gathers = False
        self._down_since: float | None = None

    async def hello(self) -> JsonObject | None:
        """None once the bundle is open; or the error that it could not be opened with."""
        try:
            await self._worker()
        except HoldfastError as error:
            return error.to_json()
        return None

    async def ask(
        self, header: bytes, body: bytes, seconds: float, batching: Batching | None
    ) -> tuple[bytes | None, JsonObject | None]:
        """The answer to one frame, or its error; from the first one that says so on, several are answered together."""
        try:
            worker = await self._worker()
            if batching is not None and not self._gathers:
                self._gathers = True
                worker.gather(batching)
            return await worker.ask(header, body, seconds), None
        except HoldfastError as error:
            return None, error.to_json()

    async def check_health(self) -> None:
        """Ray asks now and then.

        Raises:
            Unavailable: the worker does not come back.
        """
        opening = self._opening
        if opening is None or not opening.done() or opening.cancelled() or opening.exception() is not None:
            return  # a bundle that does not open is told to the router, and opens nowhere else either
        now = asyncio.get_running_loop().time()
        if opening.result().up:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = now
        elif now - self._down_since > _DOWN_SECONDS_MAX:
            raise Unavailable("the worker does not come back", hint="The node's log says why.")

    async def _worker(self) -> Worker:
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> Worker:
        opened = await asyncio.to_thread(lambda: self._opener_of()(self._digest))
        worker = Worker(f"version {self._stamp['version']}", opened, self._stamp, lambda: None)
        try:
            await worker.open()
        except BaseException:
            await worker.close()
            raise
        return worker


class Cluster:
    """A Ray cluster that runs the versions of one router; `cluster.runner` is the engine of its replica.

    with Cluster("churn.production.host-8081", opener_of, replicas=2) as cluster:
        Replica(…, engine=cluster.runner)

    Attributes:
        replicas: of each version.
    """

    def __init__(
        self,
        name: str,
        opener_of: Callable[[], Opener],
        *,
        address: str | None = None,
        replicas: int = 1,
        cpus: float = 1.0,
    ) -> None:
        """A cluster that is not reached yet.

        Args:
            name: of the router, the same after a restart and another for each router: applications that it left
                behind are known by it.
            opener_of: called on each node; gives the way to bundles there. Found by its name: a module's function.
            address: of a running cluster; None: one on this machine, which ends with this process.
            replicas: of each version.
            cpus: that each of them needs.
        """
        self._name = name
        self._opener_of = opener_of
        self._address = address
        self._cpus = cpus
        self.replicas = replicas

    def __enter__(self) -> Self:
        """Reach the cluster, or start one, and take away what an earlier process of this name left there.

        Raises:
            MissingExtra: Ray is not installed.
            Unavailable: the cluster cannot be reached.
        """
        try:
            import ray
            from ray import serve
        except ImportError as error:
            raise MissingExtra("the engine needs Ray", hint="Install it: pip install 'holdfast[ray]'") from error
        # Local: no dashboard, which would run anybody's code, and nothing that other machines could reach.
        how: dict[str, Any] = (
            {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
            if self._address is None
            else {"address": self._address}
        )
        try:
            ray.init(namespace="holdfast", configure_logging=False, log_to_driver=True, **how)
        except (ConnectionError, ray.exceptions.RayError, RuntimeError, ValueError) as error:
            raise Unavailable(
                f"no Ray cluster at {self._address or 'this machine'}: {error}",
                hint="Look at: ray status; and at --ray-address.",
            ) from error
        # Of each request Ray would write a line otherwise.
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        for left in self._applications():
            _LOG.info("taking away %s, which an earlier router left on the cluster", left)
            serve.delete(left)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take away every version of this router, and the cluster itself where it was started here."""
        import ray
        from ray import serve

        with suppress(ray.exceptions.RayError):
            for name in self._applications():
                serve.delete(name)
            if self._address is None:
                serve.shutdown()  # type: ignore[no-untyped-call]  # Ray's own annotations end here
        ray.shutdown()

    def runner(self, name: str, opened: Opened, stamp: JsonObject, changed: Callable[[], None]) -> "_Runner":
        """The engine: what runs one version on this cluster; see `holdfast.serving.engine.Engine`."""
        del changed  # Ray replaces what dies while the others answer: a version does not go down
        return _Runner(self, name, opened.files.digest, stamp)

    def run(self, digest: Digest, stamp: JsonObject) -> "tuple[str, DeploymentHandle[Any]]":
        """Start an application of a version, whose replicas come in their own time; its name and handle. Blocks."""
        from ray import serve

        on_nodes = cast("Deployment", serve.deployment(OnNode)).options(
            name=_BUNDLE,
            num_replicas=self.replicas,
            max_ongoing_requests=WAITING_MAX,
            max_queued_requests=WAITING_MAX,
            ray_actor_options={"num_cpus": self._cpus},
            graceful_shutdown_wait_loop_s=_LOOK_SECONDS,
            logging_config={"log_level": "WARNING"},
        )
        bound = on_nodes.bind(self._opener_of, stamp, str(digest))
        # Never the name of one that has gone: what Ray remembers of that one is told of this one too.
        name = f"{self._name}.{digest.hex[:16]}.{secrets.token_hex(4)}"
        target = serve.RunTarget(bound, name=name, route_prefix=None)
        (handle,) = serve.run_many([target], wait_for_applications_running=False)
        return name, handle

    def delete(self, name: str) -> None:
        """End an application; blocks until it has gone."""
        from ray import serve

        serve.delete(name)

    def _applications(self) -> list[str]:
        from ray import serve

        return [name for name in serve.status().applications if name.rsplit(".", 2)[0] == self._name]


class _Runner:
    """One version on the cluster: `holdfast.serving.engine.Runner`."""

    def __init__(self, cluster: Cluster, name: str, digest: Digest, stamp: JsonObject) -> None:
        self.error: HoldfastError | None = None
        self._cluster = cluster
        self._name = name
        self._digest = digest
        self._stamp = stamp
        self._handle: DeploymentHandle[Any] | None = None
        self._batching: Batching | None = None
        self._application: str | None = None
        self._waiting = 0

    @property
    def up(self) -> bool:
        """Whether it has been opened; replicas that die are replaced by Ray, while the others answer."""
        return self._handle is not None

    async def open(self) -> None:
        """See `Runner.open`."""
        import ray
        from ray.serve.exceptions import RayServeException

        starting = asyncio.ensure_future(asyncio.to_thread(self._cluster.run, self._digest, self._stamp))
        try:
            self._application, handle = await asyncio.shield(starting)
            async with asyncio.timeout(SECONDS_MAX):
                refused = await handle.hello.remote()
        except asyncio.CancelledError:
            # The thread cannot be stopped; what it starts is taken away when it is there.
            await asyncio.wait([starting])
            if not starting.cancelled() and starting.exception() is None:
                self._application, _ = starting.result()
            raise
        except TimeoutError as error:
            raise Unavailable(
                f"the cluster did not open {self._name} within {SECONDS_MAX:g} s",
                hint="Look at its free processors and memory: ray status",
            ) from error
        except (ray.exceptions.RayError, RayServeException, RuntimeError) as error:
            raise BundleFailed(f"the cluster could not run {self._name}: {error}", hint="Its logs say why.") from error
        if refused is not None:
            raise from_json(refused)
        self._handle = handle

    def ask(self, header: bytes, body: bytes, seconds: float) -> "asyncio.Future[bytes]":
        """See `Runner.ask`."""
        if self._handle is None:
            raise Unavailable(f"{self._name} is not open", hint=f"Try again in {RETRY_SECONDS} s.")
        if self._waiting >= WAITING_MAX * self._cluster.replicas:
            raise Busy(
                f"{self._waiting} requests are waiting for this version, which is as many as may",
                hint=f"Try again in {RETRY_SECONDS} s; start more replicas if it stays so.",
            )
        self._waiting += 1
        return asyncio.ensure_future(self._asked(self._handle, header, body, seconds))

    async def _asked(self, handle: "DeploymentHandle[Any]", header: bytes, body: bytes, seconds: float) -> bytes:
        import ray
        from ray.serve.exceptions import RayServeException

        try:
            async with asyncio.timeout(seconds):
                answer, refused = await handle.ask.remote(header, body, seconds, self._batching)
        except TimeoutError as error:
            raise late(seconds) from error
        except (ray.exceptions.RayError, RayServeException) as error:
            _LOG.error("%s: the cluster lost a request: %s", self._name, error)
            raise Unavailable(
                "the process that ran the version has ended", hint=f"Try again in {RETRY_SECONDS} s."
            ) from error
        finally:
            self._waiting -= 1
        if refused is not None:
            raise from_json(refused)
        found: bytes = answer
        return found

    def gather(self, batching: Batching) -> None:
        """See `Runner.gather`."""
        self._batching = batching

    @property
    def waiting(self) -> int:
        """Requests that were handed over and not answered."""
        return self._waiting

    async def until_up(self) -> None:
        """See `Runner.until_up`."""
        if not self.up:
            raise Unavailable(f"{self._name} is not open", hint=f"Try again in {RETRY_SECONDS} s.")

    async def close(self) -> None:
        """See `Runner.close`."""
        self._handle = None
        application, self._application = self._application, None
        if application is not None:
            await asyncio.to_thread(self._cluster.delete, application)
