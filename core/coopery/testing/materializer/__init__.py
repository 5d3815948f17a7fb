"""The parts of `coopery.testing.MaterializerContract`: what they work with, resolving, trees."""
