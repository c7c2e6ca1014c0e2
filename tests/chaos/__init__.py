"""Chaos: the whole system is killed, stopped and cut off at random moments, and ends as if nothing had happened.

`python -m tests.chaos` (make chaos) is the command, `test_chaos.py` a short run of it.
"""
