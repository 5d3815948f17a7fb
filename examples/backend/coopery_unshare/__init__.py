"""An example of a Coopery backend: steps run by util-linux's unshare, images are folders."""
