"""`landscape reproduce`: the plans of the paper's experiments, and what every method is given."""
