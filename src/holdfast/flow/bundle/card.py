"""The model card's stub: what the bundle knows about itself, and the questions that only people can answer."""

from collections.abc import Mapping

from holdfast.evidence import Evidence, Metrics
from holdfast.names import ModelName
from holdfast.parts import DataSlice, EvalThreshold, Hyperparameters, Missing, Part, Parts, PreprocessingCode, Weights

__all__ = ["card_stub"]

_QUESTIONS: Mapping[str, str] = {
    "Intended use": "Who decides what with these predictions, and what must not be decided with them?",
    "Limits": "On which rows is it known to be wrong, and where has nobody looked?",
    "Data": "Where does the data come from, who is in it, and who is not?",
    "Fairness": "Which groups were compared, and what was found?",
}


def card_stub(model: ModelName, parts: Parts, evidence: Evidence) -> str:
    """The card as Markdown. It holds no dates and no digest of its own, so that equal versions have equal cards."""
    lines = [f"# {model}", "", "## What this version is", ""]
    lines += [f"- {name}: {_sentence(part)}" for name, part in parts.by_name().items()]
    lines += ["", "## How well it does", "", *_metrics(evidence.metrics), ""]
    for title, question in _QUESTIONS.items():
        lines += [f"## {title}", "", f"*{question}*", ""]
    return "\n".join(lines)


def _metrics(metrics: Metrics | Missing) -> list[str]:
    if isinstance(metrics, Missing):
        return [f"Not measured: {metrics.why}."]
    cut = "" if metrics.threshold is None else f", at the threshold {metrics.threshold:g}"
    head = f"On {metrics.rows} frozen rows{cut}; judged by {metrics.primary}."
    return [head, "", *(f"- {name}: {value:.4f}" for name, value in sorted(metrics.values.items()))]


def _sentence(part: Part | Missing) -> str:
    match part:
        case Missing(why=why):
            return f"missing: {why}"
        case Weights(model_class=kind, format=written, base=base):
            delta = "" if base is None else f", an adapter on {base} ({base.digest}), whose weights are in the bundle"
            return f"{kind}, written as {written}{delta}"
        case DataSlice(inputs=inputs):
            return "; ".join(f"{item.role} {item.name} ({item.bytes} bytes, {item.digest})" for item in inputs)
        case PreprocessingCode(kind=kind, entry_point=entry, files=files):
            return entry or f"{kind}, {len(files)} files"
        case Hyperparameters(values=values):
            return f"{len(values)} values"
        case EvalThreshold(rule=rule, value=value):
            return rule if value is None else f"{rule} at {value:g}"
