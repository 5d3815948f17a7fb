"""An example of a materializer for Coopery: jars from a Maven repository that is a folder."""
