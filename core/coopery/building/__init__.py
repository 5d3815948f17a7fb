"""What `coopery.build.Builder` is put together from: one file for each group of its methods, and what serves them.

parts     what it is made of: settings, home, store, leases, place, backend
known     what it tells of keys, records, logs and the machine
locks     lock files
images    run, write elsewhere, push, pull
folder    the cache folder as a whole
wanted    what one call asks for: key, lock file, base
once      an image that is known, or one build for all who ask; a place is filled from what another machine built
asking    coroutines that ask
many      many definitions, on any executor
"""
