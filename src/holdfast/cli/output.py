"""The only place that prints. Standard output is data; standard error is talk."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError

__all__ = ["Output", "bytes_text", "table"]

Progress = Callable[[int, int], None]


class Output:
    """Presents results, errors and progress, for people or for programs.

    Args:
        as_json: whether results and errors are one JSON value on standard output.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, value: JsonObject, lines: Iterable[str]) -> None:
        """The answer of a command: `value` for a program, `lines` for a person."""
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))
            return
        for line in lines:
            print(line)

    def line(self, text: str) -> None:
        """One line of an answer that is told while it comes about; never with `--json`."""
        print(text, flush=True)

    def flush(self) -> None:
        """Let go of what was printed, before another process writes to the same place."""
        sys.stdout.flush()
        sys.stderr.flush()

    def close(self) -> None:
        """Say no more: whoever read has gone."""
        sys.stderr.close()

    def talk(self, text: str) -> None:
        """Something worth saying that is not the answer."""
        print(text, file=sys.stderr)

    def error(self, error: HoldfastError) -> None:
        """An error: its sentence and what to do."""
        if self.as_json:
            print(json.dumps({"error": error.to_json()}, ensure_ascii=False, default=str))
            return
        self.talk(f"error: {error.message}")
        for finding in error.details.get("findings", []):
            self.talk(f"  {finding['outcome']:<13} {finding['rule']}: {finding['sentence']}")
        self.talk(f"hint: {error.hint}")

    def unexpected(self, error: Exception, trace: str) -> None:
        """A defect of ours: all of it, for a report."""
        if self.as_json:
            hint = "This is a defect of Holdfast; the trace is on standard error."
            print(json.dumps({"error": {"code": "unexpected", "message": str(error), "hint": hint}}))
        self.talk(f"{trace}\nThis is a defect of Holdfast, not of your project. Nothing was left half done.")

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A bar for anything that may take more than a second; silent where nobody is watching."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _done, _total: None
            return
        from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as Bar

        columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        from rich.console import Console

        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The rows in columns as wide as their widest cell, under their heads."""
    cells = [[str(head) for head in heads], *([("" if c is None else str(c)) for c in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(heads))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def bytes_text(count: int) -> str:
    """A number of bytes as people read it: `814 MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - decimal units, as disks are sold
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"  # noqa: PLR2004
        size /= 1000
    return f"{size:.1f} TB"
