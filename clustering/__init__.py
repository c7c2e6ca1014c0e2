"""The pure core: the neighbourhood graph, incremental DBSCAN, and the identity of clusters. Knows no I/O."""
