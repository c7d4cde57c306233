"""MLflow's REST protocol: unchanged MLflow clients ask here, and are answered as MLflow 3.x answers.

    app.py        one ASGI layer inside the server's own: which requests are MLflow's, and who may ask them
    endpoint.py   what an endpoint is; the modules with `ENDPOINTS` name theirs
    asking.py     what a request says, read with MLflow's own refusals
    telling.py    JSON as MLflow writes it
    refusing.py   our errors in MLflow's shape
    room.py       what endpoints work with
    webhooks.py   webhooks
    files.py      files; uploads.py and downloads.py: their bytes on the way in and out

The protocol is told by MLflow's `service.proto` and `model_registry.proto`, and by its documentation, "REST API".
"""
