"""The desk: the pages on which archivists look at faces, name them and correct what was found."""
