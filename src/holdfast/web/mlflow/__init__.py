"""MLflow's REST protocol: unchanged MLflow clients ask here, and are answered as MLflow 3.x answers.

    app.py        one ASGI layer inside the server's own: which requests are MLflow's, and who may ask them
    endpoint.py   what an endpoint is; the modules with `ENDPOINTS` name theirs
    asking.py     what a request says, read with MLflow's own refusals
    telling.py    JSON as MLflow writes it
    refusing.py   our errors in MLflow's shape
    room.py       what endpoints work with
    registered_models.py, model_versions.py, aliases.py     what is registered; named.py: what the three share
    registering.py   from what was logged to a version
    moving.py     stage moves, through a gate where one protects the stage
    webhooks.py   webhooks
    files.py      files; uploads.py and downloads.py: their bytes on the way in and out

The protocol is told by MLflow's `service.proto` and `model_registry.proto`, and by its documentation, "REST API".
"""
