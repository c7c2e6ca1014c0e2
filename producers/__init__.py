"""What publishes to topics from outside the consumers: the scan feed, and archivists' decisions."""
