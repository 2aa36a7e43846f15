"""The door to GitHub's REST API (version 2022-11-28), also of GitHub Enterprise.

A token comes from the caller and goes to the API's own host and its host for uploads,
nowhere else; no message holds it. Reading is tried again where the failure is
temporary; what writes is not: the caller looks first what has become of it.
"""
