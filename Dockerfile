# The service with its command `club`. It needs a PostgreSQL (CLUB_DATABASE_URL) and a secret (CLUB_SECRET): see compose.yaml.

FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements.lock .
# the environment has no pip: nothing is installed into it later
RUN python -m venv --without-pip /opt/venv \
 && pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes --requirement requirements.lock

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --home-dir /var/lib/club club
WORKDIR /srv/club
COPY --from=build /opt/venv /opt/venv
# migrations are looked for beside the package, so the source stays as it is in the repository
COPY alembic alembic
COPY app app
RUN printf '#!/bin/sh\nexec python -m app.cli "$@"\n' > /usr/local/bin/club \
 && chmod 755 /usr/local/bin/club \
 && /opt/venv/bin/python -m compileall -q app alembic
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/srv/club \
    PYTHONUNBUFFERED=1 \
    CLUB_HOST=0.0.0.0 \
    CLUB_DATA_DIR=/var/lib/club/data
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ.get('CLUB_PORT', '8000')}/health\", timeout=4)"]
CMD ["club", "serve"]
