#!/usr/bin/env bash
# Writes the locks anew: `make lock` keeps the versions that still fit, `make lock UPGRADE=1` takes the newest.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/pip-env.sh

compile() { # OUTPUT ARGUMENT...: every platform and Python 3.11 and 3.12; no index, no folder, no comment
  local output=$1
  shift
  .venv/bin/uv --no-config pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-annotate --no-header ${UPGRADE:+--upgrade} -o "$output" "$@" >/dev/null
}

compile requirements-dev.lock --group dev
compile requirements.lock --constraints requirements-dev.lock
# npm repairs no lock that lacks another platform's binaries, so an upgrade starts without one.
if [ -n "${UPGRADE:-}" ]; then rm -rf pwa/package-lock.json pwa/node_modules; fi
(cd pwa && npm install --loglevel=error)
.venv/bin/python -m pytest -q tests/test_locks.py
