"""All code that runs beside a student's, behind the walls: not trusted."""
