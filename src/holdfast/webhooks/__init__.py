"""Telling others of events: signed messages over HTTP, at least once, in the order of the log.

    from holdfast.webhooks import verify

    message = verify("whsec_…", request.headers, request.body)
    if message["type"] == "stage.pointer.promote": ...

signing.py      how a message is written, signed and verified: https://www.standardwebhooks.com
addresses.py    which addresses may be told
sending.py      one message to one address
sealing.py      secrets as they rest
delivering.py   who is told what next: the task of a server
office.py       what administrators ask
mlflow.py       webhooks of MLflow's clients: what they ask, and how they are told
"""

from holdfast.webhooks.signing import verify

__all__ = ["verify"]
