"""The verb *bundle*: put the five parts and the evidence into one directory that runs on its own.

    files = assemble(Ingredients(model=…, preprocessing=…, threshold=0.42, holdout=…), folder, opener)

    infer.py      the feature schema from rows
    code.py       the project's modules that the bundle needs; carve.py cuts one function out of a script
    holdout.py    the frozen rows and their targets, however they come
    metrics.py    named metrics over recorded answers
    card.py       the model card: what people wrote, or a stub with its questions
    step.py       how large a step of a semantic version a change asks for
    assemble.py   all of it together; the outputs are recorded by the assembled bundle itself, in its own process

It knows nothing of registries: a bundle gets its number in `flow.register`.
"""

from holdfast.flow.bundle.assemble import Ingredients, assemble
from holdfast.flow.bundle.infer import infer_schema

__all__ = ["Ingredients", "assemble", "infer_schema"]
