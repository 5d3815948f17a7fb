"""Layers: trees in, deterministic tars out, each cut once per machine and kept.

``header`` and ``tar`` write the format, ``cut`` lays out trees, ``store`` keeps what was cut, ``clash`` and ``order``
decide pure questions, ``compose`` puts them together. See ``docs/layers.md``.
"""
