"""What things cost beside a named peer: `python -m benchmarks` runs every module and writes its table."""
