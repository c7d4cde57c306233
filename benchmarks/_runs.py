"""Tools beside each other in one run: who takes part, in which order, what is remembered, verified and written.

A benchmark of the store gives `main` a `Plan`: what it needs, and a function that leads one tool through the steps.
Each tool works in a fresh folder whose space is given back before the next one begins. Every second round has the tools
in the reverse order, so that none always comes first; what is reported is the median of the rounds.
"""

import argparse
import itertools
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _measuring import Cost, StepFailed, bytes_in, hollow, rest, run, settle, tree_digest, warm
from _peers import TOOLS
from _tables import print_steps
from _tools import NotAvailable, Tool, Work

ROOT = Path(__file__).parents[1]
FIRST = "holdfast"

WORK = Path("/var/tmp")  # noqa: S108 - a new folder with a name of its own is made in it
"""Where to work when nothing is said: on a disk, while the system's temporary folder may be memory."""

FILES_PROBED = 500
FILE_MICROSECONDS_SLOW = 100
"""Making a small file takes 20 to 50 µs; for some minutes after many were removed it takes ten times that and more, and
then a benchmark of many files measures the disk. `_measuring.hollow` says why."""

PROBE_SECONDS = 20.0

FREE_SHARE = 1.1
"""How much more than it expects to need a benchmark wants to be free: file systems refuse before they are full."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One benchmark.

    Attributes:
        name: of the script.
        about: its docstring, which says how to run it, what is measured, and what the targets are.
        lead: takes one tool through the steps.
        bytes_needed: the most that lies on the disk at one time, at full scale.
        prepare: makes what all tools share, once, in the folder it is given; says what the data are.
        targets: a sentence for each, printed under the figures.
    """

    name: str
    about: str
    lead: Callable[["Course"], None]
    bytes_needed: int
    prepare: Callable[[Path, float], dict[str, Any]]
    targets: Sequence[str] = ()


@dataclass(slots=True)
class Record:
    """Everything that was measured, by step and tool, and what was not, with the reason."""

    tells: bool = True
    costs: dict[str, dict[str, list[Cost]]] = field(default_factory=dict)
    stored: dict[str, dict[str, int]] = field(default_factory=dict)
    added: dict[str, dict[str, int]] = field(default_factory=dict)
    missing: dict[str, dict[str, str]] = field(default_factory=dict)

    def note(self, step: str, tool: str, cost: Cost) -> None:
        """Remember a cost; more than one for a step and tool end in their median."""
        self.costs.setdefault(step, {}).setdefault(tool, []).append(cost)
        if self.tells:
            print(f"  {step}: {cost.wall_s:.2f} s", flush=True)

    def steps(self) -> list[str]:
        """Every step in the order in which any tool first came to it."""
        return list(dict.fromkeys([*self.costs, *self.missing]))

    def figures(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What is printed and written: per step and tool medians, bytes, and the ratios to Holdfast."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for step in self.steps():
            rows: dict[str, dict[str, Any]] = {}
            for tool, costs in self.costs.get(step, {}).items():
                rows[tool] = {
                    "wall_s": round(statistics.median(cost.wall_s for cost in costs), 4),
                    "cpu_s": round(statistics.median(cost.cpu_s for cost in costs), 4),
                    "peak_bytes": max(cost.peak_bytes for cost in costs),
                    "walls_s": [round(cost.wall_s, 4) for cost in costs],
                }
                for key, values in (("stored_bytes", self.stored), ("added_bytes", self.added)):
                    if tool in values.get(step, {}):
                        rows[tool][key] = values[step][tool]
            for tool, reason in self.missing.get(step, {}).items():
                rows.setdefault(tool, {"missing": reason})
            _add_ratios(rows)
            found[step] = rows
        return found


def _add_ratios(rows: dict[str, dict[str, Any]]) -> None:
    ours = rows.get(FIRST, {})
    for row in rows.values():
        for key in ("wall_s", "stored_bytes"):
            if row.get(key) is not None and ours.get(key):
                row[f"{key.rpartition('_')[0]}_ratio"] = round(row[key] / ours[key], 3)


@dataclass(slots=True)
class Course:
    """One tool on its way through one benchmark.

    Attributes:
        tool: it.
        shared: what all tools share, made once.
        scale: of the data.
        seconds_max: what a step may take.
        record: where the figures go.
        keep: its folder stays.
        expected: the digest of each version that will be looked at again.
        turn: how many times something was measured or taken out.
        stored: the size of the store after the last snapshot, in bytes.
    """

    tool: Tool
    shared: Path
    scale: float
    seconds_max: float
    record: Record
    keep: bool = False
    expected: dict[int, str] = field(default_factory=dict)
    turn: int = 0
    stored: int = 0

    def data_is(self, version: int, *, verified: bool = True) -> None:
        """The data are written: remember what version they are, and prepare for a measurement."""
        if verified:
            self.expected[version] = tree_digest(self.tool.data)
        warm(self.tool.data)
        rest()

    def snapshot(self, steps: Sequence[str], version: int, *, again: bool = False) -> Cost:
        """Freeze the data; the cost is noted under each of the steps, with the bytes of the store."""
        before = self.stored or bytes_in(self.tool.store)
        work = self.tool.snapshot_again(version) if again else self.tool.snapshot(version)
        cost, said = self._run(work)
        self.tool.learn(version, said)
        settle()
        self.stored = after = bytes_in(self.tool.store)
        for step in steps:
            self.record.note(step, self.tool.name, cost)
            self.record.stored.setdefault(step, {})[self.tool.name] = after
            self.record.added.setdefault(step, {})[self.tool.name] = after - before
        return cost

    def archive(self, step: str) -> None:
        """Archive every version; the cost is noted with the bytes of the archive."""
        self.measure(step, self.tool.archive)
        self.record.stored.setdefault(step, {})[self.tool.name] = bytes_in(self.tool.archived)

    def restore(self, step: str, version: int) -> None:
        """Measure and verify a restore of every version with a checkout of one, and remove what was checked out."""
        target = self.target()
        self.measure(step, lambda: self.tool.restore(version, target), version)
        if target.exists() and not self.keep:
            hollow(target)

    def measure(self, step: str, work: Callable[[], Work], version: int | None = None) -> None:
        """Measure any other step, and compare the bytes of its result with the version's.

        Raises:
            StepFailed: a command failed, or a byte is not what it was.
        """
        done = work()
        settle()
        cost, _ = self._run(done)
        if done.result is not None and version is not None and tree_digest(done.result) != self.expected[version]:
            raise StepFailed(f"{step}: what came out is not what went in")
        self.record.note(step, self.tool.name, cost)
        settle()

    def checkout(self, step: str, version: int, *, by_link: bool = False) -> None:
        """Measure and verify a checkout into an empty folder, and remove it."""
        target = self.target()
        way = self.tool.checkout_by_link if by_link else self.tool.checkout
        self.measure(step, lambda: way(version, target), version)
        if target.exists() and not self.keep:
            hollow(target)

    def target(self) -> Path:
        """A folder that does not exist yet."""
        self.turn += 1
        return self.tool.folder / f"out-{self.turn}"

    @contextmanager
    def afresh(self, name: str) -> Iterator["Course"]:
        """The same tool with an empty store in a folder of its own beside this one, which is removed afterwards."""
        folder = self.tool.folder.with_name(f"{self.tool.folder.name}-{name}")
        tool = begun(type(self.tool), folder, self.tool.peers)
        try:
            yield Course(tool, self.shared, self.scale, self.seconds_max, self.record, keep=self.keep)
        finally:
            if not self.keep:
                hollow(folder)

    @contextmanager
    def trying(self, step: str) -> Iterator[None]:
        """Within this, a step that the tool does not have, or that fails, is noted as such; the next ones go on."""
        try:
            yield
        except (NotAvailable, StepFailed) as reason:
            self.record.missing.setdefault(step, {})[self.tool.name] = str(reason)
            print(f"  {step}: {reason}", flush=True)

    def _run(self, work: Work) -> tuple[Cost, str]:
        self.turn += 1
        return run(work.commands, self.tool.folder / "logs" / f"{self.turn}", self.seconds_max)


def arguments(plan: Plan, more: Callable[[argparse.ArgumentParser], None] | None, given: Sequence[str] | None) -> Any:
    """What was said on the command line."""
    parser = argparse.ArgumentParser(description=plan.about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="shrinks all sizes (1.0 is what the targets mean)")
    parser.add_argument("--only", help="tools, separated by commas: " + ",".join(TOOLS))
    parser.add_argument("--repeat", type=int, default=1, help="rounds, every second one in the reverse order")
    parser.add_argument("--work", type=Path, help="where to work (default: a new folder in /var/tmp)")
    parser.add_argument("--keep", action="store_true", help="keep the folder of every tool")
    parser.add_argument("--peers", type=Path, default=ROOT / ".peers", help="what benchmarks/peers made")
    parser.add_argument("--limit", type=float, default=3600.0, metavar="SECONDS", help="stop a step that takes longer")
    parser.add_argument(
        "--patience", type=float, default=0.0, metavar="SECONDS", help="wait for a disk that is slow to make files"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    if more is not None:
        more(parser)
    said = parser.parse_args(given)
    if said.only and (unknown := set(said.only.split(",")) - set(TOOLS)):
        parser.error(f"no such tools: {', '.join(sorted(unknown))}")
    return said


def main(plan: Plan, given: Sequence[str] | None = None) -> dict[str, Any]:
    """Run a benchmark from its command line: measure, print, and write the figures where asked.

    Raises:
        SystemExit: the disk has no room, or Holdfast itself failed a step.
    """
    said = arguments(plan, None, given)
    parent = said.work or (WORK if WORK.is_dir() else None)
    work = Path(tempfile.mkdtemp(prefix=f"holdfast-{plan.name}-", dir=parent)).resolve()
    try:
        _room(plan, work, said.scale, keep=said.keep)
        file_us = _file_microseconds(work, said.patience)
        versions = _taking_part(said, work)
        record = Record()
        shared = work / "shared"
        shared.mkdir()
        print(f"{plan.name}: making the data at scale {said.scale:g} …", flush=True)
        about = plan.prepare(shared, said.scale)
        print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
        present = [name for name, version in versions.items() if not version.startswith("missing")]
        last = (said.repeat - 1, present[-1 if said.repeat % 2 else 0] if present else "")
        for turn in range(said.repeat):
            for name in present if turn % 2 == 0 else reversed(present):
                _lead(plan, name, work / f"{name}-{turn + 1}", said, record)
                if (turn, name) != last and not said.keep:
                    hollow(work / f"{name}-{turn + 1}")
                    settle()
        found = {
            "benchmark": plan.name,
            "scale": said.scale,
            "rounds": said.repeat,
            "machine": {
                "python": platform.python_version(),
                "system": platform.system(),
                "processors": os.cpu_count(),
                "new_file_microseconds": file_us,
            },
            "data": about,
            "tools": versions,
            "steps": record.figures(),
            "targets": list(plan.targets),
        }
        print_steps(found)
        if said.keep:
            print(f"\nkept: {work}")
        if said.json:
            said.json.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    finally:
        if not said.keep:  # after the figures are told, for removing a million files takes minutes on some disks
            shutil.rmtree(work, ignore_errors=True)
    return found


def _room(plan: Plan, work: Path, scale: float, *, keep: bool) -> None:
    needed = plan.bytes_needed * scale * FREE_SHARE * (len(TOOLS) if keep else 1)
    free = shutil.disk_usage(work).free
    print(f"{plan.name} needs up to {needed / 1e9:.1f} GB of the {free / 1e9:.1f} GB that are free")
    if needed > free:
        raise SystemExit("not enough room: choose another folder with --work, or less data with --scale")


def _file_microseconds(work: Path, patience: float) -> float:
    """What making one file of 16 kB costs in this place, without any tool; waits while that is slow, if told to."""
    content = b"x" * 16_000
    end = time.monotonic() + patience
    for turn in itertools.count():
        place = work / f"probe-{turn}"
        place.mkdir()
        begun = time.perf_counter()
        for number in range(FILES_PROBED):
            (place / f"{number}").write_bytes(content)
        found = round((time.perf_counter() - begun) / FILES_PROBED * 1e6, 1)
        print(f"making a file of 16 kB takes {found:.0f} µs here", flush=True)
        if found <= FILE_MICROSECONDS_SLOW or time.monotonic() >= end:
            break
        time.sleep(PROBE_SECONDS)
    if found > FILE_MICROSECONDS_SLOW:
        print("  which is slow: were many files removed from this disk within the last minutes? try --patience 400")
    return found


def _taking_part(said: Any, work: Path) -> dict[str, str]:
    """The version of each tool that was asked for, or why it does not take part."""
    found = {}
    for name in said.only.split(",") if said.only else TOOLS:
        probe = work / "probe" / name
        (probe / "home").mkdir(parents=True)
        try:
            found[name] = TOOLS[name].version(probe, said.peers.absolute())
            _warm_up(TOOLS[name], probe / "warm", said)
        except NotAvailable as reason:
            found[name] = str(reason) if str(reason).startswith("missing") else f"missing: {reason}"
        except StepFailed as reason:
            found[name] = f"missing: does not work here: {reason}"
        print(f"  {name}: {found[name]}", flush=True)
    return found


def _warm_up(kind: type[Tool], folder: Path, said: Any) -> None:
    """Lead a tool through a few bytes, so that its program is in the page cache, and known to work."""
    tool = begun(kind, folder, said.peers.absolute())
    tool.data.mkdir()
    for name in ("a", "b"):
        (tool.data / name).write_text(f"to warm up {name}\n")
    course = Course(tool, folder, said.scale, said.limit, Record(tells=False))
    course.expected[1] = tree_digest(tool.data)
    course.snapshot(["warm"], 1)
    course.checkout("warm", 1)


def begun(kind: type[Tool], folder: Path, peers: Path) -> Tool:
    """A tool with an empty store in a new folder."""
    (folder / "home").mkdir(parents=True)
    tool = kind(folder, peers)
    tool.begin()
    return tool


def _lead(plan: Plan, name: str, folder: Path, said: Any, record: Record) -> None:
    print(f"{folder.name}:", flush=True)
    try:
        tool = begun(TOOLS[name], folder, said.peers.absolute())
        plan.lead(Course(tool, folder.parent / "shared", said.scale, said.limit, record, keep=said.keep))
    except (NotAvailable, StepFailed) as reason:
        print(f"  gave up: {reason}", flush=True)
        record.missing.setdefault("all further steps", {})[name] = str(reason)
