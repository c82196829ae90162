#!/usr/bin/env bash
# Builds a wheel that brings the built app along, so that whoever installs it needs no Node: tools/wheel.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
to=${1:-dist}
test -f pwa/dist/index.html || { echo "wheel: the app is not built (make pwa)" >&2; exit 1; }
# In a copy: a folder with the app in the checkout would be served in place of the one that is built next.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r pyproject.toml README.md LICENSE CHANGELOG.md crypto core server "$copy"
cp -r pwa/dist "$copy/core/eigenkring/app"
find "$copy" -name __pycache__ -prune -exec rm -rf {} +
mkdir -p "$to"
to=$(cd "$to" && pwd)
python=$PWD/.venv/bin/python
(cd "$copy" && "$python" -m hatchling build -t wheel -d "$to")
