"""Archivists' decisions: which of them hold, which contradict each other, whom they name, and how they are worded."""
