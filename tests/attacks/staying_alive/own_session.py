# Goes for the time after: children in sessions and groups of their own, with nohup and setsid.
# Gains: a process that the end of its group does not end.
# ruff: noqa
import subprocess

for prefix in (["setsid"], ["nohup"], ["setsid", "-f"], ["env", "-i"]):
    try:
        subprocess.Popen([*prefix, "sh", "-c", "sleep 600; true", "@MARK@"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        print(type(error).__name__)
