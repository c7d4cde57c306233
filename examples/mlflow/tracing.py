"""Traces of calls: what went in, what came out and how long it took, found again by their words."""

import mlflow
from mlflow.entities import SpanType

experiment = mlflow.set_experiment("traces")


@mlflow.trace(span_type=SpanType.RETRIEVER)
def find(question):
    """The text that a question asks for."""
    return {"hot": "Turn the valve.", "cold": "Light the fire."}[question]


@mlflow.trace(span_type=SpanType.CHAIN, attributes={"version": "1"})
def answer(question):
    """An answer, with a span of its own inside."""
    with mlflow.start_span("think") as span:
        span.set_inputs({"question": question})
        found = find(question)
        span.set_outputs(found)
    mlflow.update_current_trace(tags={"topic": question})
    return found.upper()


print("answer:", answer("hot"))
first = mlflow.get_last_active_trace_id()
try:
    answer("tepid")
except KeyError:
    print("failed")
mlflow.flush_trace_async_logging()

trace = mlflow.get_trace(first)
print("spans:", [span.name for span in trace.data.spans], str(trace.info.status))
print("inside:", trace.data.spans[0].inputs, trace.data.spans[0].outputs)
client = mlflow.MlflowClient()
found = client.search_traces(experiment_ids=[experiment.experiment_id])
print("traces:", sorted(str(one.info.status) for one in found))
print(
    "by tag:", len(client.search_traces(experiment_ids=[experiment.experiment_id], filter_string="tags.topic = 'hot'"))
)
client.set_trace_tag(first, "checked", "yes")
print("tag:", mlflow.get_trace(first).info.tags["checked"])
