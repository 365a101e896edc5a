# One image for the code server, the webserver and the daemon; which of them a container is, docker-compose.yaml says.
FROM python:3.11.14-slim-bookworm AS base
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

FROM lock AS build
# The packages first: they change less often than the code.
RUN uv sync --locked --no-dev --no-install-project
COPY README.md LICENSE ./
COPY taxi_platform taxi_platform
RUN uv sync --locked --no-dev --no-editable

FROM base AS platform
COPY --from=build /opt/taxi/.venv .venv
COPY deploy/compose/workspace.yaml deploy/compose/workspace.yaml
COPY deploy/compose/dagster.yaml /opt/dagster/dagster.yaml
USER taxi

# Google Cloud Storage on this machine, for trying out a gs:// lake without an account.
FROM lock AS build-gcs
RUN uv sync --locked --only-group gcs

FROM base AS gcs
COPY --from=build-gcs /opt/taxi/.venv .venv
USER taxi
