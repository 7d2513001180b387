"""Layouts of files that hold policies: a module per library, with its rows of the table in `libraries`."""
