# Goes for the patterns that look for checks and answers in a cell: text on which a careless one takes the square of its length.
# Gains: a grader that hangs before anything ran, and with it the whole class.
# hand-in: yes
# quick: yes
# ruff: noqa
def change(notebook):
    for text in ("\n" * 300_000, "@check(" * 50_000, '@check("' * 50_000, "def " + " " * 300_000, "`" * 300_000, "\n@check(" + " " * 300_000):
        notebook["cells"].append({"cell_type": "code", "metadata": {}, "source": f'"""{text}"""', "outputs": [], "execution_count": None})
        notebook["cells"].append({"cell_type": "markdown", "metadata": {}, "source": text})
    return notebook
