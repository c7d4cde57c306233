"""A family of eleven models as safetensors: a base, five fine-tunes of a tenth of the tensors, five of all of them.

    python benchmarks/store_tensors.py [--scale 0.05] [--only holdfast,restic,hf-xet] [--json FILE]

Each model is frozen as the next version of `model.safetensors`. Measured for each tool: the base, each later model
(median), all together with the bytes that the store holds at the end, and a checkout of the last and of the first
model, compared byte for byte with what went in, outside of the measurement. Then all models are archived into an empty
folder, and brought back from it into a new store, each hashed on the way; the last and the first are checked out of
that and compared as well.

The weights come from a seed (`_generate_tensors.py`): 48 tensors of bfloat16 in the shapes of a small decoder, drawn
from normal(0, 0.02); the files are written by the generator itself, by the format's own description. 11 models of 200
MB are 2,200 MB. Whole tensors that are alike leave 1,300 MB; the rest is what bytes of weights and of small differences
still give away.

Targets at scale 1: under 1,000 MB at once; under 520 MB archived, where time counts for less.
"""

import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

from _generate_tensors import MODELS, Family
from _runs import Course, Plan, main
from _versions import Versions, lead_through

BYTES = 200_000_000


def prepare(folder: Path, scale: float) -> dict[str, Any]:
    """Every model, made once."""
    family = Family.of_scale(scale)
    for model in range(1, MODELS + 1):
        family.write(model, folder / f"{model}")
    sizes = [(folder / f"{model}").stat().st_size for model in range(1, MODELS + 1)]
    return {"models": MODELS, "tensors": len(family.shapes()), "bytes": sum(sizes)}


def copied(shared: Path, version: int, path: Path) -> None:
    """Give a tool one model."""
    shutil.copyfile(shared / f"{version}", path)


def lead(course: Course) -> None:
    """One tool through all models."""
    lead_through(course, Versions("model.safetensors", MODELS, partial(copied, course.shared)))
    with course.trying("archived"):
        course.archive("archived")
        course.restore("restore, checkout of the last", MODELS)
        course.restore("checkout of the first from there", 1)


PLAN = Plan(
    name="store_tensors",
    about=__doc__ or "",
    lead=lead,
    bytes_needed=(3 * MODELS + 8) * BYTES,
    prepare=prepare,
    targets=("all 11 versions: under 1,000 MB stored", "archived: under 520 MB stored"),
)

if __name__ == "__main__":
    main(PLAN, sys.argv[1:])
