"""What the cache folder holds, what of it is needed, and taking the rest away.

`census` looks at everything once, `images` says what refers to what, `policy` chooses, `sweep` deletes.
"""
