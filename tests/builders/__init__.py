"""Builders that the tests of several packages share: a file for each subject, and no tests."""
