# Sourced by tools/setup.sh and tools/lock.sh: nothing of this machine may change what the locks mean.
# (A folder of local wheels would offer files whose hashes nobody else has.)
unset PIP_FIND_LINKS PIP_EXTRA_INDEX_URL PIP_CONSTRAINT PIP_REQUIRE_VIRTUALENV PIP_TARGET PIP_PREFIX PIP_USER
unset UV_FIND_LINKS UV_EXTRA_INDEX_URL UV_CONSTRAINT UV_OVERRIDE UV_EXCLUDE_NEWER UV_PYTHON
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
