# The service and nothing else: docker build -t riskon . ; what it needs is in docs/api.md.
# syntax=docker/dockerfile:1

FROM python:3.11-slim AS build
RUN pip install --no-cache-dir --disable-pip-version-check "uv>=0.9,<1"
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/opt/riskon
WORKDIR /source
# The libraries change rarely, and are a layer of their own.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --only-group serving --no-install-project
COPY README.md LICENSE ./
COPY features features
COPY models models
COPY riskon riskon
COPY serving serving
COPY sources sources
COPY training training
RUN uv build --wheel --out-dir /wheels \
 && uv pip install --python /opt/riskon/bin/python --no-deps /wheels/*.whl

FROM python:3.11-slim
# LightGBM's runtime.
RUN apt-get update \
 && apt-get install --no-install-recommends --yes libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --user-group --no-create-home riskon \
 && install --directory --owner riskon --group riskon /state
COPY --from=build /opt/riskon /opt/riskon
ENV PATH=/opt/riskon/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 MLFLOW_DISABLE_TELEMETRY=true \
    RISKON_HOME=/state RISKON_HOST=0.0.0.0 RISKON_PORT=8000
USER riskon
WORKDIR /state
VOLUME /state
EXPOSE 8000
STOPSIGNAL SIGTERM
# Live, not ready: a database that is down is no reason to start the process again.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['RISKON_PORT']}/health/live\", timeout=3)"]
ENTRYPOINT ["riskon"]
CMD ["serve"]
