"""The built-in sample archive: its pages, its paper, and the truth about its faces. It publishes nothing."""
