"""The lab: charts and images of our own, so that every word runs without a network.

``charts/<chart>/<version>/`` is a chart as plain files. Where a chart has
``charts/<chart>/base/``, a version consists of the files of ``base`` and its
own; where both have a file, the version's counts.

The charts carry the names, versions, value paths and image references of a
real RKE2 release and nothing else of it. Their containers never set
``command``. A container that must end (init containers, Jobs) has ``once`` as
its first argument, all others run until they are stopped; no container has a
probe. One small program behind every reference is therefore enough to install
them (`images`, `program`).
"""
