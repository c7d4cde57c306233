"""Elements of a page. Words become text of an element or the value of an attribute here, and so never markup."""

from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from holdfast.flow.gate.rendering.harmless import one_line

__all__ = ["Child", "element", "written"]

Child = str | Element | None
"""What stands in an element; None is nothing."""


_CHARACTERS_MAX = 1_000_000
"""Of a text or an attribute: the path of a curve has some thousands, and a page must stay one that opens."""


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """An element; `class_` stands for `class`, and `_` in other names of attributes for a hyphen."""
    made = Element(
        tag, {_name(key): one_line(value, _CHARACTERS_MAX) for key, value in attributes.items() if value is not None}
    )
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            last = child
        elif child is not None and last is None:
            made.text = (made.text or "") + one_line(child, _CHARACTERS_MAX)
        elif child is not None and last is not None:
            last.tail = (last.tail or "") + one_line(child, _CHARACTERS_MAX)
    return made


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def written(root: Element) -> str:
    """The element as HTML."""
    return ET.tostring(root, encoding="unicode", method="html")
