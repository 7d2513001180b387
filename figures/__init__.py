"""Plots and pages, drawn from result files and never from live objects."""
