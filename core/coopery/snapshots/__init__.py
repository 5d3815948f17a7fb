"""Stage 1 on the host: steps that execute nothing, and snapshots kept as config and layers in the blob store.

Every backend works through here, so that one definition gives one image id on all of them; an engine is needed only to
execute ``run:`` steps and to keep the result.
"""
