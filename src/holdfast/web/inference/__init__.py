"""The HTTP face of a replica.

    app.py        the FastAPI application of one replica
    answering.py  one request, however it came: the version it asks for, its answer, those who watch
    override.py   who may choose the version that answers
    scoring.py    the routes that score: MLflow's `/invocations`, `/predict`, the Open Inference Protocol's `infer`
    endpoints.py  the routes that do not: health, what a model takes and gives, which version answers
    grpc_service.py  the same answers over gRPC, with `grpc_messages.py` and `grpc_tensors.py`
    refusals.py   what a caller is told of an error
    stamp.py      the route taken once for each request, and the headers that say who answered
    assigning.py  while a canary runs: by which key a request is given to a version
    truths.py     taking what turned out to be right
    bodies.py     reading a request's bytes up to a limit
    server.py     the process: uvicorn with uvloop and httptools

    replica = Replica(…)
    with listen("127.0.0.1", 8081) as listening:
        serve(replica_app(replica), listening)

Every answer carries `X-Model-Version`, `X-Model-Digest`, `X-Route-Epoch` and `X-Route-Reason`, errors too. Rows and
answers pass through as bytes: they are parsed and written by the worker that runs the version.
"""
