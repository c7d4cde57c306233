"""How the figures of a benchmark are printed and kept."""

import json
import os
import platform
from pathlib import Path
from typing import Any

HEADINGS = ("wall", "cpu", "peak", "stored", "added", "wall ratio", "stored ratio")
KEYS = ("wall_s", "cpu_s", "peak_bytes", "stored_bytes", "added_bytes", "wall_ratio", "stored_ratio")


def seconds_text(seconds: float) -> str:
    """Seconds as people read them."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def bytes_text(size: float) -> str:
    """Bytes as people read them, in powers of ten."""
    for unit, word in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(size) >= unit:
            return f"{size / unit:.1f} {word}"
    return f"{size:.0f} B"


def _cell(key: str, row: dict[str, Any]) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if key.endswith("_s"):
        return seconds_text(value)
    return bytes_text(value) if key.endswith("_bytes") else f"{value:.2f}x"


def print_steps(found: dict[str, Any]) -> None:
    """A table for each step: a line for each tool, in the order in which they were named."""
    print(f"\n{found['benchmark']}: scale {found['scale']:g}, median of {found['rounds']} round(s)")
    print("; ".join(f"{name} {version}" for name, version in found["tools"].items()))
    for step, rows in found["steps"].items():
        shown = [
            heading for heading, key in zip(HEADINGS, KEYS, strict=True) if any(key in row for row in rows.values())
        ]
        print(f"\n{step:<34}" + "".join(f"{heading:>14}" for heading in shown))
        for tool in found["tools"]:
            row = rows.get(tool)
            if row is None:
                continue
            cells = [_cell(key, row) for heading, key in zip(HEADINGS, KEYS, strict=True) if heading in shown]
            print(f"  {tool:<32}" + (row.get("missing", "") or "".join(f"{cell:>14}" for cell in cells)))
    print("\nRatios are to Holdfast: above 1 the tool took longer, or stored more. Stored and added: apparent size.")
    print("Peak: the largest single process; 10 MB is the least that can be seen.")
    for sentence in found["targets"]:
        print(f"target: {sentence}")


def keep(path: Path | None, figures: dict[str, Any]) -> None:
    """Write figures, and on which machine they were measured, where somebody asked for it."""
    if path is None:
        return
    machine = {"python": platform.python_version(), "system": platform.platform(), "processors": os.cpu_count()}
    path.write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n", encoding="utf-8")
