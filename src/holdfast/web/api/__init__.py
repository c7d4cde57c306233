"""The registry over HTTP: what `Registry`, `Tracking` and a remote's `Transport` promise, under /api/v1.

    app.py         the application: its routes, its errors, its start and its end
    desk.py        what every route needs: the project, who asks, answers
    schemas.py     what travels, as the OpenAPI document describes it
    watch.py       who waits for a stage to move hears of it

The server never opens a model, and never a path or an address that a client sent.
"""
