"""Names and hashes that the tests' files have in common."""

ZLIB = "https://conda.anaconda.org/conda-forge/linux-64/zlib-1.3.1-hb9d3cd8_2.conda"
TZDATA = "https://conda.anaconda.org/conda-forge/noarch/tzdata-2025b-h78e105d_0.conda"
SIX = "https://files.example.org/packages/b7/ce/six-1.17.0-py2.py3-none-any.whl"
A, B, C = "a" * 64, "b" * 64, "c" * 64
MD5 = "d" * 32
