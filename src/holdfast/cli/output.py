"""The only place that prints. Standard output is data; standard error is talk."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TextIO

from holdfast.canonical import JsonObject
from holdfast.errors import HoldfastError

__all__ = ["Drawing", "Output", "bytes_text", "drawing", "duration_text", "table"]

Progress = Callable[[int, int], None]

_AGAIN = "Run the command again; whatever had not been committed is as it was."


class Output:
    """Presents results, errors and progress, for people or for programs.

    Whoever reads may go away in the middle, as `head` does. Then nothing more is said, and the command goes on to its
    end and to its own exit code: what it does matters more than who listens.

    Args:
        as_json: whether results and errors are one JSON value on standard output.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def result(self, value: JsonObject, lines: Iterable[str]) -> None:
        """The answer of a command: `value` for a program, `lines` for a person."""
        _print(sys.stdout, [_json(value)] if self.as_json else lines)

    def report(self, value: JsonObject, lines: Iterable[str]) -> None:
        """An answer beside another program's output: standard output is that program's, so a person is talked to."""
        _print(*((sys.stdout, [_json(value)]) if self.as_json else (sys.stderr, lines)))

    def piece(self, value: JsonObject, line: str) -> bool:
        """One of many answers that come one by one, in one line; whether anybody still reads them."""
        return _print(sys.stdout, [json.dumps(value, default=str) if self.as_json else line.rstrip()])

    def line(self, text: str) -> None:
        """One line of an answer that is told while it comes about; never with `--json`."""
        _print(sys.stdout, [text])

    def data(self, pieces: Iterable[bytes]) -> None:
        """An answer whose every byte counts, such as a signed one; piece by piece, however long it is."""
        if sys.stdout is None:
            return
        try:
            sys.stdout.flush()
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            _forget(sys.stdout)

    def flush(self) -> None:
        """Let go of what was printed, before another process writes to the same place."""
        for stream in (sys.stdout, sys.stderr):
            _print(stream, [])

    def settle(self) -> None:
        """Give up what a full disk did not take: it has been told, and must not fail again when the process ends."""
        for stream in (sys.stdout, sys.stderr):
            try:
                _print(stream, [])
            except OSError:
                _forget(stream)

    def talk(self, text: str) -> None:
        """Something worth saying that is not the answer."""
        _print(sys.stderr, [text])

    def error(self, error: HoldfastError) -> None:
        """An error: its sentence and what to do."""
        if self.as_json:
            self._problem(error.to_json())
            return
        findings = error.details.get("findings", [])
        # The findings follow in full; the sentence that sums them up would only say them twice.
        self.talk(f"error: {error.message.partition(': ')[0] if findings else error.message}")
        for finding in findings:
            waived = f" (waived by {finding['waived']['by']})" if "waived" in finding else ""
            self.talk(f"  {finding['outcome']:<13} {finding['rule']}: {finding['sentence']}{waived}")
        first, *more = error.hint.split("\n")
        self.talk("\n".join([f"hint: {first}", *(f"      {line}" for line in more)]))

    def interrupted(self) -> None:
        """Somebody pressed Ctrl-C."""
        if self.as_json:
            self._problem({"code": "interrupted", "message": "interrupted", "hint": _AGAIN})
        self.talk("interrupted")

    def unexpected(self, error: Exception, trace: str) -> None:
        """A defect of ours: all of it, for a report."""
        if self.as_json:
            hint = "This is a defect of Holdfast; the trace is on standard error."
            self._problem({"code": "unexpected", "message": str(error), "hint": hint})
        self.talk(f"{trace}\nThis is a defect of Holdfast, not of your project. Nothing was left half done.")

    def _problem(self, value: JsonObject) -> None:
        try:
            _print(sys.stdout, [_json({"error": value})])
        except OSError:
            # Standard output is what failed, as on a full disk: the other stream is left.
            self.talk(_json({"error": value}))

    @staticmethod
    def written(value: JsonObject) -> str:
        """A value as a file holds it."""
        return json.dumps(value, ensure_ascii=False, indent=2, default=str)

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A bar for anything that may take more than a second; silent where nobody is watching."""
        if self.as_json or sys.stderr is None or not sys.stderr.isatty():
            yield lambda _done, _total: None
            return
        from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as Bar

        columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        from rich.console import Console

        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _print(stream: TextIO | None, lines: Iterable[str]) -> bool:
    """Every line, at once; a stream that was closed before this process began, or is closed meanwhile, takes none."""
    if stream is None:
        return False
    try:
        for line in lines:
            print(line, file=stream)
        stream.flush()
    except BrokenPipeError:
        _forget(stream)
        return False
    return True


def _forget(stream: TextIO) -> None:
    """Lead the stream nowhere, so that what it still holds does not fail again when the process ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError):
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _json(value: JsonObject) -> str:
    stream = sys.stdout
    for_person = stream is not None and stream.isatty()
    # JSON can name any character in ASCII; where the terminal's encoding cannot, it does.
    ascii_only = _is_ascii(stream)
    return json.dumps(value, ensure_ascii=ascii_only, indent=2 if for_person else None, default=str)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The rows in columns as wide as their widest cell, under their heads."""
    cells = [[str(head) for head in heads], *([("" if c is None else str(c)) for c in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(heads))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


class Drawing(NamedTuple):
    """What trees and bars are drawn with."""

    branch: str
    last: str
    trunk: str
    full: str
    empty: str


def drawing() -> Drawing:
    """The signs that standard output can show."""
    if _is_ascii(sys.stdout):
        return Drawing("|-", "`-", "| ", "#", ".")
    return Drawing("├─", "└─", "│ ", "█", "·")


def _is_ascii(stream: TextIO | None) -> bool:
    return stream is None or (stream.encoding or "ascii").lower().replace("_", "-") not in {"utf-8", "utf8"}


def duration_text(seconds: float) -> str:
    """A time as people read it, in its two largest units: `12 d 4 h`."""
    left = round(seconds)
    said: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not said):
            said.append(f"{count} {unit}")
    return " ".join(said[:2])


def bytes_text(count: int) -> str:
    """A number of bytes as people read it: `814 MB`."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004 - decimal units, as disks are sold
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"  # noqa: PLR2004
        size /= 1000
    return f"{size:.1f} TB"
