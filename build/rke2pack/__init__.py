"""Charts and images of an RKE2 release as one chain of provable facts."""

__version__ = "0.1.0"
