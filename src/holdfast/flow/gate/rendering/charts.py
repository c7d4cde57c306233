"""Charts of a verdict as SVG: an interval against its margin, a forest of groups, and latencies as distributions.

Every chart has a title and a description that say in words what it shows, and its colours come from the page's style:
it is read in light, in dark and on paper. Gains are turned so that right is better.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil, floor, isfinite, log10
from xml.etree.ElementTree import Element

from holdfast.canonical import JsonObject
from holdfast.flow.gate.rendering.markup import element

__all__ = ["distribution", "forest", "number", "strip"]

_WIDTH, _ROW = 640.0, 26.0
"""Units of the view: the page scales it to the room that there is."""

_LEFT, _RIGHT = 190.0, 16.0
"""Room for the names of groups, and for the last figure of an axis."""

_NAME_CHARACTERS_MAX = 28
"""As many fit beside the axis; the title of the row and the table below have all of it."""

_ROWS_MAX = 60
"""Groups drawn: those with the least certain gains. The table below has the others too."""

_TICKS_WANTED = 5


def number(value: object, *, signed: bool = True) -> str:
    """A figure with four significant digits; `not known` where there is none."""
    if not isinstance(value, int | float) or not isfinite(value):
        return "not known"
    return f"{value:+.4g}" if signed else f"{value:.4g}"


class _Axis:
    """A line of numbers, linear, from the first to the last place of the drawing.

    Args:
        values: what must lie on it.
        left: the first place.
    """

    def __init__(self, values: Sequence[float], left: float) -> None:
        low, high = min(values), max(values)
        room = (high - low) * 0.06 or max(abs(low), 1e-6) * 0.5
        self.low, self.high = low - room, high + room
        self.left, self.right = left, _WIDTH - _RIGHT

    def at(self, value: float) -> float:
        """The place of a value, within the drawing."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.left + min(max(share, 0.0), 1.0) * (self.right - self.left), 2)

    def ticks(self) -> list[float]:
        """Round numbers, a handful of them."""
        rough = (self.high - self.low) / _TICKS_WANTED
        power = 10.0 ** floor(log10(rough))
        step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= rough)
        return [place * step for place in range(ceil(self.low / step), floor(self.high / step) + 1)]


def strip(one: JsonObject, key: str) -> Element:
    """One estimate against zero and against the loss that is allowed.

    Args:
        one: an entry of the verdict's estimates.
        key: names its parts on the page; no other chart has it.
    """
    height = 64.0
    axis = _Axis([0.0, *_bounds(one), *_known(one)], _RIGHT)
    drawn: list[Element] = [*_allowed(axis, one, 8.0, height - 24), *_scale(axis, height - 22)]
    drawn += _interval(axis, one, (height - 24) / 2 + 4)
    low, high = number(one.get("low")), number(one.get("high"))
    said = f"{number(one.get('value'))}, {_level(one)} interval {low} to {high}; {_loss(one)}"
    return _svg(height, key, f"{one.get('rule')}, {one.get('name')}", said, drawn)


def forest(groups: Sequence[JsonObject], key: str) -> Element:
    """Groups under one another, the least certain gain on top, against the loss that is allowed.

    Args:
        groups: entries of the verdict's estimates, at least one.
        key: as for `strip`.
    """
    rows = sorted(groups, key=lambda one: min(_known(one), default=0.0))[:_ROWS_MAX]
    height = _ROW * len(rows) + 34
    axis = _Axis([0.0, *_bounds(rows[0]), *(value for one in rows for value in _known(one))], _LEFT)
    drawn: list[Element] = [*_allowed(axis, rows[0], 4.0, height - 26), *_scale(axis, height - 22)]
    for place, one in enumerate(rows):
        middle = 4 + _ROW * (place + 0.5)
        name = str(one.get("name"))
        short = name if len(name) <= _NAME_CHARACTERS_MAX else f"{name[: _NAME_CHARACTERS_MAX - 1]}…"
        drawn.append(element("text", short, x=_LEFT - 12, y=middle + 4, class_="name", text_anchor="end"))
        drawn += _interval(axis, one, middle)
    worst = rows[0]
    said = (
        f"{len(groups)} groups; the least certain gain is that of {worst.get('name')}: {number(worst.get('value'))}, "
        f"interval {number(worst.get('low'))} to {number(worst.get('high'))}; {_loss(worst)}"
    )
    return _svg(height, key, "Gain of each group over the version that holds the stage", said, drawn)


def distribution(times_ms: Mapping[str, Sequence[float]], budget_ms: float | None, key: str) -> Element:
    """The share of calls that were answered within a time, for each version, on a logarithmic axis.

    Args:
        times_ms: of `candidate` and, where there is one, `baseline`; ascending, at least one each.
        budget_ms: what a call may take; None: there is no budget.
        key: as for `strip`.
    """
    height, top, bottom = 240.0, 12.0, 206.0
    logged = [log10(max(time, 1e-6)) for times in times_ms.values() for time in (times[0], times[-1])]
    axis = _Axis([*logged, *([log10(budget_ms)] if budget_ms else [])], 52.0)

    def up(share: float) -> float:
        return round(bottom - share * (bottom - top), 2)

    drawn: list[Element] = []
    for share in (0.0, 0.5, 0.95):
        drawn.append(element("line", x1=axis.left, x2=axis.right, y1=up(share), y2=up(share), class_="grid"))
        drawn.append(
            element("text", f"{share:.0%}", x=axis.left - 8, y=up(share) + 4, class_="tick", text_anchor="end")
        )
    drawn += _decades(axis, bottom)
    if budget_ms:
        at = axis.at(log10(budget_ms))
        drawn.append(element("line", x1=at, x2=at, y1=top, y2=bottom, class_="limit"))
        drawn.append(element("text", "budget", x=at - 5, y=bottom - 8, class_="tick", text_anchor="end"))
    for who in ("baseline", "candidate"):
        if times_ms.get(who):
            drawn.append(element("path", d=_steps(times_ms[who], axis, up), class_=f"curve {who}", fill="none"))
    said = "; ".join(
        f"{who}: half within {number(_quantile(times, 0.5), signed=False)} ms, "
        f"95 of 100 within {number(_quantile(times, 0.95), signed=False)} ms"
        for who, times in times_ms.items()
    )
    allowed = f"; {budget_ms:g} ms are allowed for 95 of 100" if budget_ms else ""
    return _svg(height, key, "Share of calls answered within a time", said + allowed, drawn)


def _svg(height: float, key: str, title: str, said: str, drawn: Sequence[Element]) -> Element:
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", said, id=f"{key}-desc"),
        *drawn,
        viewBox=f"0 0 {_WIDTH:g} {height:g}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
    )


def _known(one: JsonObject) -> list[float]:
    found = [one.get(key) for key in ("value", "low", "high")]
    return [float(value) for value in found if isinstance(value, int | float) and isfinite(value)]


def _bounds(one: JsonObject) -> list[float]:
    """Where a loss begins that is not allowed, and where harm begins; below zero."""
    margin, harm = one.get("margin"), one.get("harm_margin")
    if not isinstance(margin, int | float):
        return []
    return [-float(margin)] + ([-float(margin) - float(harm)] if isinstance(harm, int | float) else [])


def _allowed(axis: _Axis, one: JsonObject, top: float, bottom: float) -> Iterator[Element]:
    """The side that is harm, the line of the loss that is allowed, and zero."""
    bounds = _bounds(one)
    if bounds:
        end = axis.at(min(bounds))
        yield element("rect", x=axis.left, y=top, width=end - axis.left, height=bottom - top, class_="harm")
        for bound in bounds:
            yield element("line", x1=axis.at(bound), x2=axis.at(bound), y1=top, y2=bottom, class_="limit")
    yield element("line", x1=axis.at(0.0), x2=axis.at(0.0), y1=top, y2=bottom, class_="zero")


def _interval(axis: _Axis, one: JsonObject, middle: float) -> Iterator[Element]:
    value, low, high = one.get("value"), one.get("low"), one.get("high")
    if not isinstance(value, int | float):
        return
    # What is not known reaches to the end of the drawing: nothing was ruled out there.
    first = axis.at(low) if isinstance(low, int | float) else axis.left
    last = axis.at(high) if isinstance(high, int | float) else axis.right
    kind = f"interval {_standing(one)}"
    yield element("line", x1=first, x2=last, y1=middle, y2=middle, class_=kind)
    for end, known in ((first, low), (last, high)):
        if isinstance(known, int | float):
            yield element("line", x1=end, x2=end, y1=middle - 5, y2=middle + 5, class_=kind)
    yield element("circle", cx=axis.at(value), cy=middle, r=4.5, class_=f"dot {_standing(one)}")


def _standing(one: JsonObject) -> str:
    """How an interval lies to what is allowed: this colours it, and decides nothing."""
    bounds, low, high = _bounds(one), one.get("low"), one.get("high")
    if not bounds:
        return "plain"
    if isinstance(high, int | float) and high < max(bounds):
        return "beyond"
    return "within" if isinstance(low, int | float) and low >= min(bounds) else "across"


def _scale(axis: _Axis, y: float) -> Iterator[Element]:
    yield element("line", x1=axis.left, x2=axis.right, y1=y, y2=y, class_="axis")
    for tick in axis.ticks():
        at = axis.at(tick)
        yield element("line", x1=at, x2=at, y1=y, y2=y + 4, class_="axis")
        yield element("text", f"{tick:.4g}", x=at, y=y + 17, class_="tick", text_anchor="middle")


def _decades(axis: _Axis, y: float) -> Iterator[Element]:
    yield element("line", x1=axis.left, x2=axis.right, y1=y, y2=y, class_="axis")
    powers = range(floor(axis.low), ceil(axis.high) + 1)
    for value in (unit * 10.0**power for power in powers for unit in (1, 2, 5)):
        if axis.low <= log10(value) <= axis.high:
            at = axis.at(log10(value))
            yield element("line", x1=at, x2=at, y1=y, y2=y + 4, class_="axis")
            yield element("text", f"{value:g} ms", x=at, y=y + 18, class_="tick", text_anchor="middle")


def _steps(times: Sequence[float], axis: _Axis, up: Callable[[float], float]) -> str:
    """The path of an empirical distribution: it rises at every call."""
    drawn = [f"M {axis.at(log10(max(times[0], 1e-6)))} {up(0.0)}"]
    for rank, time in enumerate(times, start=1):
        drawn.append(f"H {axis.at(log10(max(time, 1e-6)))} V {up(rank / len(times))}")
    return " ".join(drawn)


def _quantile(times: Sequence[float], share: float) -> float:
    return times[min(int(share * len(times)), len(times) - 1)]


def _level(one: JsonObject) -> str:
    confidence = one.get("confidence")
    return f"{100 * confidence:.4g} %" if isinstance(confidence, int | float) else ""


def _loss(one: JsonObject) -> str:
    bounds = _bounds(one)
    if not bounds:
        return "no margin was set"
    return f"a loss of {number(-max(bounds), signed=False)} is allowed" + (
        f", and one beyond {number(-min(bounds), signed=False)} must be unlikely" if len(bounds) > 1 else ""
    )
