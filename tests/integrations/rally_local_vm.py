"""VMTasks.boot_runcommand_delete without a cloud: a local sshd replaces the VM.

Everything after the boot of the VM is Rally's own code: the connection, the command, and the
processing of its output. SSHD_PORT and SSHD_KEY specify the port and key of the sshd.
"""

import os

from rally.task import scenario
from rally_openstack.task.scenarios.vm import vmtasks

VMTask = vmtasks.BootRuncommandDelete


@scenario.configure(name="LocalVMTasks.boot_runcommand_delete")
class LocalBootRuncommandDelete(scenario.Scenario):
    def run(self, **arguments):
        with open(os.environ["SSHD_KEY"]) as key:
            self.context["user"] = {"keypair": {"name": "key", "private": key.read()}}
        port = int(os.environ["SSHD_PORT"])
        VMTask.run(self, port=port, wait_for_ping=False, **arguments)

    def _boot_server_with_fip(self, image, flavor, **arguments):
        return None, {"ip": "127.0.0.1"}

    def _delete_server_with_fip(self, server, fip, force_delete):
        pass

    _run_command = VMTask._run_command
    _run_command_over_ssh = VMTask._run_command_over_ssh
    _wait_for_ssh = VMTask._wait_for_ssh
