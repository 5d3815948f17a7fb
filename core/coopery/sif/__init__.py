"""The Singularity Image Format as a base: read here, with no engine and no squashfs-tools, on any machine.

frame       what a SIF holds, and where
blocks      squashfs: compressed blocks, and the tables made of them
squashfs    squashfs: inodes and folders, contents
base        a SIF's file system as one layer, and its config
"""
