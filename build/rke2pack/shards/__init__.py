"""Shards: the work of a release split over several jobs, and put together again."""
