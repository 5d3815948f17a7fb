"""What a base or a snapshot says of itself, read from its files and its config. Nothing is executed."""

from __future__ import annotations

from coopery.facts.read import read_facts
from coopery.facts.walk import Found, Obstacle, find, follow

__all__ = ["Found", "Obstacle", "find", "follow", "read_facts"]
