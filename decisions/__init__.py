"""What archivists decided: which decisions hold, what contradicts them, the people they name, and their wording."""
