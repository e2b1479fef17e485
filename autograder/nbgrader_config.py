"""nbgrader's settings for this course: its own machinery, with coursekit's reader and sandbox in place of a kernel."""

c = get_config()

c.CourseDirectory.course_id = "pytorch-from-the-inside"
c.CourseDirectory.source_directory = "source"
c.CourseDirectory.release_directory = "release"

# Release: stubs for exercises, broken code for bug hunts. The same steps as `coursekit build`.
c.GenerateAssignment.preprocessors = [
    "nbgrader.preprocessors.LockCells",
    "coursekit.build.notebook.ShowRelease",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.CheckCellMetadata",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# Grading: a submission is read tolerantly, run in the sandbox, and judged where its code cannot reach.
c.Autograde.exporter_class = "coursekit.grading.gradebook.plugin.SubmissionExporter"
c.Autograde.sanitize_preprocessors = []  # the exporter lays every graded cell anew, with the release's own metadata
c.Autograde.autograde_preprocessors = [
    "coursekit.grading.gradebook.plugin.Execute",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
]
c.GenerateFeedback.exporter_class = "coursekit.grading.gradebook.feedback.FeedbackExporter"      # the same page, several times faster
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError()"}
