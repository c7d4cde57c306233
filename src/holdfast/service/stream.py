"""Server-sent events: one answer that goes on, read message by message, and taken up where it broke off.

The format is that of the HTML standard, section 9.2, as far as a Holdfast server writes it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Message", "messages"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream.

    Attributes:
        id: what a reader names to go on behind it.
        data: what it says.
    """

    id: str
    data: str


def messages(lines: Iterable[str]) -> Iterator[Message | None]:
    """The messages in the lines of a stream; None for a sign of life that says nothing."""
    last, data = "", list[str]()
    for line in lines:
        if line.startswith(":"):
            yield None
        elif not line:
            if data:
                yield Message(last, "\n".join(data))
            data = []
        else:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "id":
                last = value
            elif name == "data":
                data.append(value)
