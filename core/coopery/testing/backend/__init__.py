"""The parts of `coopery.testing.BackendContract`: bases, steps, runs and images, each a class of tests."""
