"""The built-in sample archive: its pages, its paper, and the truth about the faces on it. It publishes nothing."""
