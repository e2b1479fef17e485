# Goes for the grading seed, and for any file that holds a secret: the course folder is read from end to end.
# Gains: the secret inputs of every exercise, before they are used.
# quick: yes
# outcome: graded or timed out
# ruff: noqa
import os

for top in ("@COURSE@", os.path.dirname("@COURSE@"), "/root", "/home", "/mnt", "/srv", "/var/lib"):
    for folder, below, names in os.walk(top):
        below[:] = [name for name in below if name not in ("site-packages", ".cache", ".venv")]
        for name in names:
            try:
                with open(os.path.join(folder, name), errors="replace", encoding="utf-8") as file:
                    text = file.read(100_000)
            except OSError:
                continue
            if "canary" in text:
                print(folder, name, text[-500:])
