"""The OCI image format: layouts, archives, manifests, configs, and layer stacks read or unpacked without an engine.

Source: OCI image spec v1.1, and the ``manifest.json`` form of ``docker save``. What is written, read and refused
stands in ``docs/oci.md``. Nothing here touches a network: `coopery.registry` is a
`coopery.oci.source.Source` among others.

Import from the modules, so that a cache hit loads `coopery.oci.layout` and nothing heavier:

    layout          Layout: a folder of images; its ``complete`` is the one existence check on a hit. write_layout
    archive         read_layout, read_archive: bases into the blob store. write_oci_archive
    docker_archive  write_docker_archive
    rootfs          read_rootfs: a root file system's tar as a base
    validate        validate, validate_layout: the spec's rules, as product code
    layers_view     LayersFiles: an image's files with nothing unpacked
    extract         extract: an image's files in a folder
    compressed      compress, twin: plain layers made ready to travel, once
    fetching        fetch: all layers of an image from a source, several at once
    limits          Limits: how much of what others made is read
"""
