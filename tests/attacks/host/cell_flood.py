# Goes for the layout of the notebook: a hundred thousand cells, each of them nearly empty.
# Gains: a grader that is busy with one notebook for an hour.
# hand-in: yes
# outcome: unreadable
# score: 0
# quick: yes
# ruff: noqa
def change(notebook):
    notebook["cells"] += [{"cell_type": "code", "metadata": {}, "source": "1", "outputs": [], "execution_count": None}] * 100_000
    return notebook
