"""Places that core keeps itself: they can be asked without any plugin."""
