"""Who watches a replica, and acts on what it sees: put together from a project's settings."""

import logging
import os
import socket
from functools import partial
from pathlib import Path

from holdfast.config import Settings
from holdfast.digest import Digest
from holdfast.errors import HoldfastError, MissingExtra, UsageError
from holdfast.flow.rollback import roll_back
from holdfast.names import ModelName, StageName
from holdfast.registry import Registry
from holdfast.runtime.bundle_files import BundleFiles
from holdfast.serving.alert_sending import AlertSender
from holdfast.serving.exchange import Exchange
from holdfast.serving.monitor import rules_of
from holdfast.serving.observing import Observer
from holdfast.serving.reference import Reference
from holdfast.serving.replica import Place
from holdfast.serving.settings import ServeSettings, WatchSettings
from holdfast.serving.taking_back import TakingBack
from holdfast.serving.tracing import traces
from holdfast.serving.training import compared_apart, compared_with_training
from holdfast.serving.watch import Listener, Watch
from holdfast.webhooks.sending import Sender
from holdfast.webhooks.signing import headers, test_message
from holdfast.wire.project import Project, new_id, open_project, utc_now

__all__ = ["traced", "watch_of"]

_LOG = logging.getLogger("holdfast.serving")

_COLLECTORS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""The variables in which every OpenTelemetry program looks for its collector."""


def watch_of(
    project: Project,
    registry: Registry,
    model: ModelName,
    stage: StageName,
    place: Place,
    *,
    settings: WatchSettings,
    exchange: Exchange | None = None,
) -> Watch:
    """What watches a replica; it has to be told which one it is.

    Args:
        project: has the policy and what versions were trained on.
        registry: has the log; it may be away.
        model: whose stage.
        stage: which one.
        place: where the replica answers.
        settings: what is looked at.
        exchange: how the processes of one port meet; None: there is one.

    Raises:
        UsageError: alerts are to be sent, and nothing signs them, or they may not be sent there.
    """
    listeners: list[Listener] = []
    if settings.webhooks:
        listeners.append(_sender(project.settings, model, stage, place, settings))
    if settings.rollback_on:
        listeners.append(
            TakingBack(
                settings,
                registry=registry,
                model=model,
                stage=stage,
                move=lambda asked: roll_back(asked, project.workbench, registry),
                actor=f"replica on {place.host}",
                clock=utc_now,
            )
        )
    budget = project.policy.for_stage(model, stage).latency_ms_p95_max
    return Watch(
        settings,
        rules_of(settings, budget),
        compared=compared_apart(partial(_trained_on, project.settings)),
        listeners=listeners,
        exchange=exchange,
    )


def _trained_on(settings: Settings, root: Path, digest: Digest) -> Reference | None:
    """What a version is compared with; None where that is not to be found out."""
    try:
        with open_project(settings) as project:
            return compared_with_training(project.store, BundleFiles.open(root, expected=digest))
    except HoldfastError:
        return None


def traced(settings: ServeSettings, model: ModelName, stage: StageName) -> tuple[Observer, ...]:
    """Who tells a collector of each request: where the project wishes it, or the environment names a collector.

    Raises:
        MissingExtra: the project does, and OpenTelemetry is not installed.
    """
    if not settings.tracing and not any(os.environ.get(name) for name in _COLLECTORS):
        return ()
    try:
        return (traces(str(model), str(stage), socket.gethostname()),)
    except MissingExtra:
        if settings.tracing:
            raise
        _LOG.warning("the environment names a collector of traces, and OpenTelemetry is not installed: none are sent")
        return ()


def _sender(settings: Settings, model: ModelName, stage: StageName, place: Place, watch: WatchSettings) -> AlertSender:
    if settings.alert_secret is None:
        raise UsageError(
            "alerts are to be sent to webhooks, and HOLDFAST_ALERT_SECRET is not set",
            hint="Set it to a secret that the receivers know, such as: whsec_$(head -c 32 /dev/urandom | base64)",
        )
    headers(test_message("alert", "once", ""), [settings.alert_secret], 0.0)  # refuses what is no secret, now
    sender = Sender(settings.webhook_hosts)
    for url in watch.webhooks:
        sender.target(url)
    return AlertSender(
        watch.webhooks,
        settings.alert_secret,
        sender,
        about={"model": str(model), "stage": str(stage), "url": place.url, "host": place.host},
        new_id=new_id,
    )
