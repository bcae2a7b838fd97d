#!/bin/sh
# Creates target/ansible, the Python environment in which the tests run Ansible. Takes about 20 s.
set -e
cd "$(dirname "$0")/../.."
[ -x target/ansible/bin/ansible-playbook ] && exit
python3 -m venv target/ansible
target/ansible/bin/pip install --quiet ansible-core==2.19.14
