"""`landscape reproduce`: the command, and what every method of a preset is given."""
