"""The page: what the report shows, as data, each part from what the tree and `dist/` have."""
