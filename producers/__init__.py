"""What writes topics from outside: the scan feed."""
