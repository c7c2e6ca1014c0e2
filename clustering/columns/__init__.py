"""Arrays, tables, lists and a name index: the columns that the clustering is kept in. They know nothing of faces."""
