"""A load generator: keep-alive connections that send one request after the other, and remember every answer.

    python benchmarks/_load.py http://127.0.0.1:8081/invocations body.json --connections 16 --seconds 5

It speaks just enough HTTP/1.1 to cost little beside the server that it measures. A request counts as failed when its
status is not 200, when its connection breaks, or when it takes longer than `ANSWER_SECONDS_MAX`.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

ANSWER_SECONDS_MAX = 30.0
"""A request that waits longer has failed as far as any caller is concerned."""


@dataclass(slots=True)
class Sent:
    """One request: when it was sent and answered (seconds since the epoch), and what came back."""

    begun: float
    ended: float
    status: int
    headers: bytes
    body: bytes

    @property
    def seconds(self) -> float:
        """From the first byte sent to the last byte received."""
        return self.ended - self.begun

    def header(self, name: str) -> str:
        """The value of a header, in any spelling; empty when it is absent."""
        for line in self.headers.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key.lower() == name.lower().encode():
                return value.strip().decode()
        return ""


class _Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[tuple[bytes, bytes]] | None = None
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if end < 0 or self.answer is None:
            return
        head = self._held[:end]
        place = head.lower().find(b"content-length:")
        size = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if len(self._held) >= end + 4 + size:
            body, self._held = self._held[end + 4 : end + 4 + size], self._held[end + 4 + size :]
            if not self.answer.done():
                self.answer.set_result((head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionResetError("the server closed the connection"))


@dataclass
class SteadyLoad:
    """Steady load on one URL, until it is told to stop.

    Attributes:
        url: where to.
        body: what each request carries.
        connections: how many requests are under way at any time.
        sent: every request that was answered.
        failed: why each of the others was not.
        look: called with each answer as it comes; what it returns, if anything, is kept in `complaints`.
        pause_seconds: what each connection waits between an answer and its next request.
        keep: called with each answer too; by default it goes into `sent`.
    """

    url: str
    body: bytes
    connections: int = 4
    look: Callable[[Sent], str | None] = lambda _: None
    sent: list[Sent] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    going: bool = True
    pause_seconds: float = 0.0
    keep: Callable[[Sent], None] | None = None

    async def run(self) -> None:
        """Send until `going` is False."""
        await asyncio.gather(*(self._send_on_one() for _ in range(self.connections)))

    async def for_seconds(self, seconds: float) -> None:
        """Send for a while."""
        asyncio.get_running_loop().call_later(seconds, self.stop)
        await self.run()

    def stop(self) -> None:
        """Let each connection finish its request and send no more."""
        self.going = False

    async def _send_on_one(self) -> None:
        parts = urlsplit(self.url)
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(self.body)}\r\n\r\n"
        )
        request = head.encode() + self.body
        loop = asyncio.get_running_loop()
        connection = _Connection()
        while self.going:
            begun = time.time()
            try:
                if connection.transport is None:
                    _, connection = await loop.create_connection(_Connection, parts.hostname or "", parts.port or 80)
                connection.answer = loop.create_future()
                cast("asyncio.Transport", connection.transport).write(request)
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    headers, body = await connection.answer
            except OSError as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                # What a late answer would bring belongs to nobody: the next request gets a connection of its own.
                if connection.transport is not None:
                    connection.transport.abort()
                connection = _Connection()
                await asyncio.sleep(0.01)
                continue
            sent = Sent(begun, time.time(), int(headers[9:12]), headers, body)
            (self.keep or self.sent.append)(sent)
            if sent.status != 200:
                self.failed.append(f"status {sent.status}: {body[:200]!r}")
            elif complaint := self.look(sent):
                self.complaints.append(complaint)
            if self.pause_seconds:
                await asyncio.sleep(self.pause_seconds)
        if connection.transport is not None:
            connection.transport.close()


def percentiles(seconds: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99 in milliseconds, and the maximum; zeros when there is nothing."""
    ordered = sorted(seconds) or [0.0]
    return {
        **{f"p{p}_ms": round(ordered[min(len(ordered) - 1, len(ordered) * p // 100)] * 1000, 3) for p in (50, 95, 99)},
        "max_ms": round(ordered[-1] * 1000, 3),
    }


def measure(url: str, body: bytes, connections: int, seconds: float, *, warm_seconds: float = 1.0) -> dict[str, float]:
    """Requests a second and latencies of a URL, after a warm-up whose answers are not counted."""

    async def work() -> SteadyLoad:
        await SteadyLoad(url, body, connections).for_seconds(warm_seconds)
        load = SteadyLoad(url, body, connections)
        await load.for_seconds(seconds)
        return load

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load = runner.run(work())
    return {
        "connections": connections,
        "requests_per_second": round(len(load.sent) / seconds, 1),
        "failed": len(load.failed),
        **percentiles(sent.seconds for sent in load.sent),
    }


def asked(
    url: str, request: Callable[[int], bytes], connections: int, seconds: float, *, warm_seconds: float = 0.5
) -> dict[str, float]:
    """Requests a second and latencies where every request is another one.

    Args:
        url: of the server.
        request: the whole next request of a connection, by its number; connections ask one thing after the other.
        connections: how many there are.
        seconds: how long to go on.
        warm_seconds: how long before, without counting.

    Raises:
        SystemExit: a request was refused; the message is its answer.
    """
    parts = urlsplit(url)

    async def on_one(number: int, end: float, spent: list[float]) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, parts.hostname or "", parts.port or 80)
        while (begun := time.perf_counter()) < end:
            connection.answer = loop.create_future()
            cast("asyncio.Transport", connection.transport).write(request(number))
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                head, body = await connection.answer
            if head[9:10] != b"2":
                raise SystemExit(f"{url}: {head[9:12].decode()} {body[:500].decode(errors='replace')}")
            spent.append(time.perf_counter() - begun)
        cast("asyncio.Transport", connection.transport).close()

    async def on_all(while_seconds: float) -> list[float]:
        spent: list[float] = []
        end = time.perf_counter() + while_seconds
        async with asyncio.TaskGroup() as group:
            for number in range(connections):
                group.create_task(on_one(number, end, spent))
        return spent

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if warm_seconds:
            runner.run(on_all(warm_seconds))
        begun = time.perf_counter()
        spent = runner.run(on_all(seconds))
        took = time.perf_counter() - begun
    return {"connections": connections, "per_second": round(len(spent) / took, 1), **percentiles(spent)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one URL and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("body", type=Path)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    given = parser.parse_args(arguments)
    print(json.dumps(measure(given.url, given.body.read_bytes(), given.connections, given.seconds)))


if __name__ == "__main__":
    main()
