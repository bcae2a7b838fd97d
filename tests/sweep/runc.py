"""Runs a static program in a container of its own by runc: runc.py NAME FOLDER PROGRAM [WORD...]

FOLDER is /data in the container, and PROGRAM its only file beside.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

name, folder, program, *words = sys.argv[1:]
bundle = tempfile.mkdtemp(prefix="bundle-")
try:
    root = os.path.join(bundle, "rootfs")
    for place in ("data", "dev", "proc", "sys"):
        os.makedirs(os.path.join(root, place))
    shutil.copy(program, os.path.join(root, "program"))
    subprocess.run(["runc", "spec", "--bundle", bundle], check=True)
    spec = os.path.join(bundle, "config.json")
    with open(spec) as file:
        config = json.load(file)
    config["process"].update(terminal=False, args=["/program", *words], cwd="/data")
    config["mounts"].append(
        {"destination": "/data", "type": "bind", "source": folder, "options": ["bind", "rw"]}
    )
    with open(spec, "w") as file:
        json.dump(config, file)
    sys.exit(subprocess.run(["runc", "run", "--bundle", bundle, f"wbench-{os.getpid()}-{name}"]).returncode)
finally:
    shutil.rmtree(bundle)
