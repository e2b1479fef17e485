# Goes for the metadata: points of 1000, other grade ids, unlocked cells, a schema version of its own.
# Gains: points, or cells that nbgrader takes for solutions with a score.
# hand-in: yes
# quick: yes
# ruff: noqa
def change(notebook):
    for cell in notebook["cells"]:
        claims = cell["metadata"].get("nbgrader")
        if claims:
            claims.update(points=1000, locked=False, grade=True, solution=True, task=False, schema_version=99, auto_score=1000)
    notebook["metadata"]["nbgrader"] = {"score": 1000}
    notebook["metadata"]["coursekit"] = {"outcome": None, "evidence": "0" * 64, "score": 50}
    return notebook
