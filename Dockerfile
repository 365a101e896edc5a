# syntax=docker/dockerfile:1
# One image for the code server, the webserver and the daemon; which of them a container is, docker-compose.yaml says, and
# so it does which Python they are built on (`docker compose build`). All packages are those of uv.lock, by their hashes.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/taxi/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1
# The user owns no more than what it writes to; a volume on /data becomes its own the first time it is mounted.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin taxi \
    && mkdir /data /opt/dagster \
    && chown taxi:taxi /data /opt/dagster
WORKDIR /opt/taxi

FROM base AS lock
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.8
COPY pyproject.toml uv.lock ./

# The packages: they change less often than the code, and are half a gigabyte.
FROM lock AS packages
RUN uv sync --locked --no-dev --all-extras --no-install-project

# Which packages they are, as CycloneDX: /opt/taxi/sbom.cdx.json in the image.
FROM packages AS sbom
RUN UV_PROJECT_ENVIRONMENT=/opt/sbom uv sync --locked --only-group sbom \
    && /opt/sbom/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
        --output-file /opt/taxi/sbom.cdx.json /opt/taxi/.venv/bin/python

# The code alone, in a folder that is laid over the packages.
FROM lock AS code
COPY README.md LICENSE ./
COPY taxi_platform taxi_platform
RUN uv build --wheel --quiet --out-dir /opt/dist \
    && uv pip install --no-deps --target /opt/code /opt/dist/*.whl

FROM base AS platform
COPY --from=packages /opt/taxi/.venv .venv
COPY --from=sbom /opt/taxi/sbom.cdx.json sbom.cdx.json
# From here on a layer is as large as the code is: that is what an upgrade ships.
COPY --from=code /opt/code .venv/lib/python3.11/site-packages
COPY deploy/compose/workspace.yaml deploy/compose/workspace.yaml
COPY deploy/compose/probe.py deploy/compose/probe.py
COPY deploy/compose/dagster.yaml /opt/dagster/dagster.yaml
COPY deploy/compose/workers/dagster.yaml /opt/dagster/workers/dagster.yaml
# A worker on a machine of its own (`docker run`) has these; in docker-compose.yaml each service says what it has.
ENV DAGSTER_HOME=/opt/dagster/workers \
    DAGSTER_COMPUTE_LOGS=/data/logs \
    DAGSTER_CELERY_PASSWORD_FILE= \
    TAXI_DATA_DIR=/data
USER taxi
ARG REVISION=unknown
LABEL org.opencontainers.image.title="taxi_platform" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}"

# Google Cloud Storage on this machine, for trying out a gs:// lake without an account.
FROM lock AS build-gcs
RUN uv sync --locked --only-group gcs

FROM base AS gcs
COPY --from=build-gcs /opt/taxi/.venv .venv
USER taxi
ARG REVISION=unknown
LABEL org.opencontainers.image.title="taxi_platform_gcs" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}"
