"""Fetch: images into the image store, for `pull` and for `airgap --pull`."""
