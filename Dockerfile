# One image for both roles: `holdfast server`, which is what it runs, and `holdfast serve MODEL`.
#
#   docker build -t holdfast:0.1.0 .
#
# What is installed is what requirements/ locks by hash, and this checkout; the file system may be read-only but for the
# home and /tmp. docs/how-to/deploy.md says how to run it.

ARG PYTHON=3.13

FROM python:${PYTHON}-slim-trixie AS build
WORKDIR /build
# Links would lead into a cache that the image does not have.
ENV UV_LINK_MODE=copy UV_NO_CACHE=1
COPY requirements/bootstrap.txt requirements/
RUN python -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes --requirement requirements/bootstrap.txt
COPY requirements/server.txt requirements/
RUN uv venv --quiet --python /usr/local/bin/python3 /opt/holdfast \
    && uv pip sync --quiet --python /opt/holdfast/bin/python --require-hashes --compile-bytecode requirements/server.txt
COPY pyproject.toml README.md LICENSE ./
COPY requirements/dev.txt requirements/
COPY src src
# What builds the wheel is locked too.
RUN uv build --quiet --wheel --build-constraints requirements/dev.txt --require-hashes --out-dir dist \
    && uv pip install --quiet --python /opt/holdfast/bin/python --no-deps --no-index --compile-bytecode dist/*.whl

FROM python:${PYTHON}-slim-trixie
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="Holdfast" \
      org.opencontainers.image.description="Model version control: a registry server, and replicas that serve" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number that no system has for anybody else, so that Kubernetes can see that it is not root.
RUN groupadd --gid 65532 holdfast \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /var/lib/holdfast --shell /usr/sbin/nologin holdfast \
    && install -d -o 65532 -g 65532 -m 0700 /var/lib/holdfast/.holdfast
COPY --from=build /opt/holdfast /opt/holdfast
# The policy is read beside the home: mount it at /var/lib/holdfast/holdfast.toml. All that is written goes into the home.
ENV PATH="/opt/holdfast/bin:${PATH}" \
    PYTHONUNBUFFERED=1 \
    HOLDFAST_HOME=/var/lib/holdfast/.holdfast \
    XDG_STATE_HOME=/var/lib/holdfast/.holdfast/state \
    UV_CACHE_DIR=/var/lib/holdfast/.holdfast/cache/uv \
    UV_PYTHON_INSTALL_DIR=/var/lib/holdfast/.holdfast/cache/python
WORKDIR /var/lib/holdfast
VOLUME /var/lib/holdfast/.holdfast
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
# No shell between the signal and the process, and none in the check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["holdfast"]
CMD ["server", "--host", "0.0.0.0", "--port", "8080", "--workers", "2"]
