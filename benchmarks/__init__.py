"""What things cost beside a named peer: `python -m benchmarks` runs every module here and writes its table."""
