# Goes for the files beside the notebook: the kernel works in a folder with links to the seed, to devices and to pipes.
# Gains: the target's content, copied to where the student's results lie; or a copy that never ends.
# ruff: noqa
import os

for name, target in (("seed.txt", "@COURSE@/autograder/private/seed"), ("zero", "/dev/zero"), ("up", "@COURSE@"), ("out", "@OUTSIDE@/planted")):
    os.symlink(target, name)
os.mkfifo("pipe")
for name in ("seed.txt", "up/autograder/private/seed"):
    try:
        print(open(name, encoding="utf-8").read())
    except OSError as error:
        print(type(error).__name__)
try:
    open("out", "w", encoding="utf-8").write("@MARK@")
except OSError as error:
    print(type(error).__name__)
