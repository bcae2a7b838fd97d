#!/bin/sh
# Creates target/scipy, the Python environment of tests/integrations/scipy_reference.py.
set -e
cd "$(dirname "$0")/../.."
[ -x target/scipy/bin/python ] || python3 -m venv target/scipy
target/scipy/bin/python -c 'import scipy' 2>/dev/null || target/scipy/bin/pip install --quiet scipy
