#!/bin/sh
# Creates target/rally, the Python environment in which the tests run Rally. Takes about a minute.
set -e
cd "$(dirname "$0")/../.."
[ -x target/rally/bin/rally ] && exit
python3 -m venv target/rally
target/rally/bin/pip install --quiet rally==5.1.1 rally-openstack==4.1.0
