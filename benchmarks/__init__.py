"""Measurements of distkeras against others, paired in one run; each is a program: `python -m benchmarks.step_time`."""
