"""What runs between Coopery and the program in an image: its own process, its own namespaces, standard library only.

`__main__` is started by `coopery_oci.supervise`, usually as process 1 of a fresh namespace. It makes the root file
system, starts the program in it, hands on signals, and leaves nothing running and nothing mounted.
"""
