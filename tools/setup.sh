#!/usr/bin/env bash
# Installs what Eigenkring is built with. Usage: tools/setup.sh python | node | browsers
# Everything lands in .venv, .tools and pwa/node_modules, except Debian packages (said before they are installed).
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/pip-env.sh

say() { echo "setup: $*"; }
stop() { echo "setup: $*" >&2; exit 1; }

# apt PACKAGE...: as root, or with a sudo that asks nothing; otherwise one sentence that says what to do.
apt() {
  command -v apt-get >/dev/null || stop "please install $* (this machine has no apt-get), then run make again."
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || stop "please run 'sudo apt-get install $*' and then make again (this needs root)."
    sudo=(sudo -n)
  fi
  # One at a time: another part of the setup may be asking for something too.
  mkdir -p .tools
  exec 9>.tools/apt
  flock 9
  say "installing $* with apt-get"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    stop "apt-get could not install $*: please install them yourself, then run make again."
  exec 9>&-
}

# A pyenv shim answers to a name without a version behind it, so each candidate has to run. The wheels are CPython's.
runs() { "$1" -c 'import sys, ssl, sqlite3' 2>/dev/null; }
fits() {
  "$1" -c 'import sys, ssl, sqlite3
sys.exit(not (sys.implementation.name == "cpython" and (3, 11) <= sys.version_info[:2] <= (3, 12)))' 2>/dev/null
}

find_python() { # TEST: prints the first candidate that passes it
  local candidate
  for candidate in python3.12 python3.11 python3 python /usr/bin/python3.12 /usr/bin/python3.11 /usr/bin/python3 \
    "$HOME"/.pyenv/versions/3.1[12].*/bin/python; do
    if "$1" "$candidate"; then echo "$candidate"; return 0; fi
  done
  return 1
}

make_venv() { # PYTHON FOLDER
  if ! "$1" -c 'import venv, ensurepip' 2>/dev/null; then
    apt "python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  fi
  rm -rf "$2"
  "$1" -m venv "$2"
}

# Only another Python is here: uv, pinned by the same lock, fetches 3.12 into .tools.
fetch_python() {
  local other
  other=$(find_python runs) || stop "please install Python 3.11 or 3.12, then run make again."
  say "no Python 3.11 or 3.12 here; installing uv into .tools and fetching Python 3.12 with it" >&2
  make_venv "$other" .tools/uv >&2
  awk '/^[a-z]/ { on = /^uv==/ } on' requirements-dev.lock >.tools/uv.lock
  .tools/uv/bin/pip install -qq --no-deps --require-hashes -r .tools/uv.lock >&2
  .tools/uv/bin/uv --no-config python install -q 3.12 --no-bin --install-dir .tools/python >&2 ||
    stop "uv could not fetch Python 3.12: please install Python 3.11 or 3.12 yourself, then run make again."
  ls -d "$PWD"/.tools/python/cpython-3.12*/bin/python3.12 | head -n 1
}

set_up_python() {
  if ! fits .venv/bin/python; then
    local base
    base=$(find_python fits) || base=$(fetch_python)
    say "making .venv with $("$base" --version)"
    make_venv "$base" .venv
  fi
  say "installing the Python packages of requirements-dev.lock into .venv"
  .venv/bin/python -m pip install -qq --require-hashes --no-deps -r requirements-dev.lock
  .venv/bin/python -m pip install -qq --no-deps --no-build-isolation -e .
}

set_up_node() {
  local want="please install Node.js 20.19 or newer (with npm), then run make again"
  command -v npm >/dev/null || stop "$want."
  node -e 'const [a, b] = process.versions.node.split(".").map(Number);
    process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null ||
    stop "$want (found: $(node --version 2>/dev/null || echo none))."
  say "installing the npm packages of pwa/package-lock.json into pwa/node_modules"
  (cd pwa && npm ci --loglevel=error --no-audit --no-fund)
}

any() { # NAME...: whether one of these programs is there
  local name
  for name in "$@"; do
    if command -v "$name" >/dev/null; then return 0; fi
  done
  return 1
}

# Chromium for the journeys; Firefox and WebKit (which draws on Xvfb's screen) for the first evening.
set_up_browsers() {
  local missing=()
  any "${EIGENKRING_CHROMIUM:-chromium}" chromium-browser google-chrome || missing+=(chromium)
  any firefox-esr firefox || missing+=(firefox-esr)
  any WebKitWebDriver || missing+=(webkit2gtk-driver)
  any Xvfb || missing+=(xvfb)
  if [ ${#missing[@]} -gt 0 ]; then apt "${missing[@]}"; fi
}

case "${1:-}" in
  python | node | browsers) "set_up_$1" ;;
  *) stop "say which: python, node or browsers." ;;
esac
