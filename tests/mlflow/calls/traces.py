"""Calls that concern traces, prompts and webhooks."""

import time
from typing import Any

import mlflow
from mlflow.entities import AssessmentSource, Feedback

from tests.mlflow.calls.walking import Call, Walk

__all__ = ["CALLS"]

_SOURCE = AssessmentSource(source_type="HUMAN", source_id="ana")
_HOOK = "https://127.0.0.1:9/hook"


def _trace(walk: Walk) -> None:
    root = walk.client.start_trace("root", inputs={"q": 1}, tags={"topic": "hot"}, experiment_id=walk.experiment)
    walk.keep("trace", root.trace_id)
    walk.keep("root", root.span_id)


def _span(walk: Walk) -> None:
    span = walk.client.start_span("inner", walk.trace, walk.root, inputs={"q": 2})
    walk.keep("span", span.span_id)


def _seen(trace: Any) -> dict[str, Any]:
    return {
        "state": str(trace.info.state),
        "spans": [(span.name, span.inputs, span.outputs, span.status.status_code.name) for span in trace.data.spans],
        "topic": trace.info.tags.get("topic"),
        "assessments": sorted((one.name, one.value) for one in trace.info.assessments),
    }


def _traced(walk: Walk) -> object:
    mlflow.set_experiment(experiment_id=walk.experiment)

    @mlflow.trace  # type: ignore[untyped-decorator]
    def double(number: int) -> int:
        mlflow.update_current_trace(tags={"topic": "cold"})
        return 2 * number

    double(4)
    walk.keep("traced", mlflow.get_last_active_trace_id())
    return _seen(mlflow.get_trace(walk.traced))


def _spanned(walk: Walk) -> object:
    with mlflow.start_span("plain") as span:
        span.set_inputs({"a": 1})
    return len(walk.client.search_traces([walk.experiment]))


def _feedback(walk: Walk) -> object:
    found = mlflow.log_feedback(trace_id=walk.trace, name="good", value=True, source=_SOURCE, rationale="reads well")
    walk.keep("feedback", found.assessment_id)
    return found.name


def _updated(walk: Walk) -> object:
    changed = Feedback(name="good", value=False, source=_SOURCE)
    return mlflow.update_assessment(walk.trace, walk.feedback, changed).value


def _hook(walk: Walk) -> object:
    hook = walk.client.create_webhook("hook", _HOOK, ["model_version.created"], "words", "secret")
    walk.keep("hook", hook.webhook_id)
    return (hook.name, hook.url, [str(event) for event in hook.events], str(hook.status))


def _prompts(walk: Walk) -> object:
    return walk.keep("prompt", walk.client.register_prompt("greeting", "Hello {{name}}", "first", {"k": "v"})).version


TRACES: tuple[Call, ...] = (
    ("client.start_trace", _trace),
    ("client.start_span", _span),
    ("client.end_span", lambda w: w.client.end_span(w.trace, w.span, outputs=3)),
    ("client.end_trace", lambda w: w.client.end_trace(w.trace, outputs=4)),
    ("client.get_trace", lambda w: _seen(w.client.get_trace(w.trace, display=False))),
    ("edge: no such trace", lambda w: w.client.get_trace("tr-" + "0" * 32, display=False)),
    ("mlflow.trace", _traced),
    ("mlflow.start_span", _spanned),
    ("client.set_trace_tag", lambda w: w.client.set_trace_tag(w.trace, "topic", "warm")),
    (
        "client.delete_trace_tag",
        lambda w: (w.client.set_trace_tag(w.trace, "x", "y"), w.client.delete_trace_tag(w.trace, "x"))[1],
    ),
    ("client.search_traces", lambda w: len(w.client.search_traces([w.experiment]))),
    *(
        (f"edge: traces where {words}", lambda w, words=words: len(w.client.search_traces([w.experiment], words)))
        for words in ("tags.topic = 'warm'", "status = 'OK'", "name = 'root'", "timestamp_ms > 0", "colour = 'x'")
    ),
    (
        "edge: traces in order",
        lambda w: len(w.client.search_traces([w.experiment], order_by=["timestamp_ms ASC"], max_results=1)),
    ),
    ("mlflow.search_traces", lambda w: len(mlflow.search_traces(experiment_ids=[w.experiment]))),
    ("mlflow.get_trace", lambda w: _seen(mlflow.get_trace(w.trace))),
    ("mlflow.set_trace_tag", lambda w: mlflow.set_trace_tag(w.trace, "m", "n")),
    ("mlflow.delete_trace_tag", lambda w: mlflow.delete_trace_tag(w.trace, "m")),
    ("mlflow.start_span_no_context", lambda w: mlflow.start_span_no_context("free").end()),
    ("client.link_traces_to_run", lambda w: w.client.link_traces_to_run([w.trace], w.run)),
    ("mlflow.log_feedback", _feedback),
    (
        "mlflow.log_expectation",
        lambda w: mlflow.log_expectation(trace_id=w.trace, name="right", value=4, source=_SOURCE).value,
    ),
    (
        "mlflow.log_assessment",
        lambda w: mlflow.log_assessment(w.trace, Feedback(name="more", value=1, source=_SOURCE)).name,
    ),
    ("mlflow.get_assessment", lambda w: mlflow.get_assessment(w.trace, w.feedback).value),
    ("mlflow.update_assessment", _updated),
    (
        "mlflow.override_feedback",
        lambda w: (
            mlflow.override_feedback(trace_id=w.trace, assessment_id=w.feedback, value=True, source=_SOURCE).value
        ),
    ),
    ("edge: what is said of a trace", lambda w: _seen(mlflow.get_trace(w.trace))["assessments"]),
    ("mlflow.delete_assessment", lambda w: mlflow.delete_assessment(w.trace, w.feedback)),
    ("mlflow.log_trace", lambda w: len(mlflow.log_trace("whole", request="a", response="b")) > 0),
    ("mlflow.add_trace", lambda w: mlflow.add_trace(mlflow.get_trace(w.trace))),
    ("mlflow.search_sessions", lambda w: len(mlflow.search_sessions(locations=[w.experiment]))),
    (
        "mlflow.log_issue",
        lambda w: mlflow.log_issue(trace_id=w.trace, issue_id="i", issue_name="slow", run_id=w.run).name,
    ),
    ("client.delete_traces", lambda w: w.client.delete_traces(w.experiment, trace_ids=[w.trace])),
    (
        "edge: all traces of a time",
        lambda w: w.client.delete_traces(w.experiment, max_timestamp_millis=int(time.time() * 1000) + 9),
    ),
)

PROMPTS: tuple[Call, ...] = (
    ("client.register_prompt", _prompts),
    ("client.create_prompt", lambda w: w.client.create_prompt("bare", "words").name),
    ("client.create_prompt_version", lambda w: w.client.create_prompt_version("bare", "Hi", "words").version),
    ("client.get_prompt", lambda w: w.client.get_prompt("greeting").tags),
    ("client.get_prompt_version", lambda w: w.client.get_prompt_version("greeting", "1").template),
    ("client.load_prompt", lambda w: w.client.load_prompt("prompts:/greeting/1").template),
    ("client.set_prompt_alias", lambda w: w.client.set_prompt_alias("greeting", "good", 1)),
    ("client.get_prompt_version_by_alias", lambda w: w.client.get_prompt_version_by_alias("greeting", "good").version),
    ("client.set_prompt_tag", lambda w: w.client.set_prompt_tag("greeting", "a", "b")),
    ("client.delete_prompt_tag", lambda w: w.client.delete_prompt_tag("greeting", "a")),
    ("client.set_prompt_version_tag", lambda w: w.client.set_prompt_version_tag("greeting", "1", "a", "b")),
    ("client.delete_prompt_version_tag", lambda w: w.client.delete_prompt_version_tag("greeting", "1", "a")),
    ("client.search_prompts", lambda w: sorted(p.name for p in w.client.search_prompts())),
    ("client.search_prompt_versions", lambda w: w.client.search_prompt_versions("greeting")),
    ("edge: prompts are no models", lambda w: [m.name for m in w.client.search_registered_models("name = 'greeting'")]),
    ("client.link_prompt_version_to_run", lambda w: w.client.link_prompt_version_to_run(w.run, "prompts:/greeting/1")),
    ("client.list_logged_prompts", lambda w: [p.name for p in w.client.list_logged_prompts(w.run)]),
    ("client.detach_prompt_from_run", lambda w: w.client.detach_prompt_from_run(w.run, "prompts:/greeting/1")),
    (
        "client.link_prompt_version_to_model",
        lambda w: w.client.link_prompt_version_to_model("greeting", "1", w.doubler),
    ),
    ("client.link_prompt_versions_to_trace", lambda w: w.client.link_prompt_versions_to_trace([w.prompt], w.traced)),
    ("client.delete_prompt_alias", lambda w: w.client.delete_prompt_alias("greeting", "good")),
    ("client.delete_prompt_version", lambda w: w.client.delete_prompt_version("bare", "1")),
    ("client.delete_prompt", lambda w: w.client.delete_prompt("bare")),
    ("mlflow.register_prompt", lambda w: mlflow.register_prompt("fluent", "Bye").version),
    ("mlflow.load_prompt", lambda w: mlflow.load_prompt("fluent", 1).template),
    ("mlflow.set_prompt_alias", lambda w: mlflow.set_prompt_alias("fluent", "a", 1)),
    ("mlflow.delete_prompt_alias", lambda w: mlflow.delete_prompt_alias("fluent", "a")),
    ("mlflow.search_prompts", lambda w: sorted(p.name for p in mlflow.search_prompts())),
)

WEBHOOKS: tuple[Call, ...] = (
    ("client.create_webhook", _hook),
    (
        "edge: a webhook without TLS",
        lambda w: w.client.create_webhook("plain", "http://hooks.example.org", ["model_version.created"]),
    ),
    ("client.get_webhook", lambda w: w.client.get_webhook(w.hook).name),
    ("client.list_webhooks", lambda w: [hook.name for hook in w.client.list_webhooks()]),
    (
        "client.update_webhook",
        lambda w: w.client.update_webhook(w.hook, description="more", status="DISABLED").description,
    ),
    ("client.test_webhook", lambda w: w.client.test_webhook(w.hook).success),
    ("client.delete_webhook", lambda w: w.client.delete_webhook(w.hook)),
    ("edge: a deleted webhook", lambda w: w.client.get_webhook(w.hook)),
)

CALLS: tuple[Call, ...] = (*TRACES, *WEBHOOKS, *PROMPTS)
