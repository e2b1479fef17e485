"""Builds the walls around a runner, and checks what comes out of them: trusted, and believes nothing from inside."""
