from __future__ import annotations

import pytest

from coopery.errors import BaseError
from coopery.facts.prefix import locate
from coopery.files import Stat
from coopery.target import Parent


def test_an_empty_base(image):
    place = locate(image({}), "/opt/env")
    assert (place.path, place.occupied, place.parents) == ("/opt/env", False, ())


def test_parents_keep_mode_and_owner(image):
    files = image({"/opt": Stat("directory", 0o2775, uid=3, gid=50), "/opt/other": b""})
    assert locate(files, "/opt/deep/env").parents == (Parent("/opt", 0o2775, 3, 50),)


def test_the_prefix_moves_to_what_its_parents_resolve_to(image):
    files = image({"/opt": "usr/local/opt", "/usr/local/opt": Stat("directory", 0o700)})
    place = locate(files, "/opt/env")
    assert place.path == "/usr/local/opt/env"
    assert [parent.path for parent in place.parents] == ["/usr", "/usr/local", "/usr/local/opt"]
    assert place.parents[-1].mode == 0o700


@pytest.mark.parametrize(
    ("paths", "occupied"),
    [({"/opt/env": None}, False), ({"/opt/env/bin/python": b""}, True), ({"/opt/env": "/srv", "/srv/x": b""}, True)],
)
def test_occupied_is_a_folder_with_something_in_it(image, paths, occupied):
    assert locate(image(paths), "/opt/env").occupied is occupied


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ({"/opt": "gone"}, "/opt names /gone/env, which is missing"),
        ({"/opt/env": "gone"}, "/opt/env names /opt/gone, which is missing"),
        ({"/opt": "opt"}, "loop"),
        ({"/opt": "../../mnt", "/mnt": None}, "/opt climbs out"),
        ({"/opt": b"file"}, "/opt: a folder is needed here, and it is a file"),
        ({"/opt/env": b"file"}, "the base has a file at /opt/env"),
        ({"/opt/env": Stat("other", 0o644)}, "the base has a other at"),
    ],
)
def test_what_is_in_the_way_is_refused(image, paths, said):
    with pytest.raises(BaseError, match=said.replace("a other", "a special file")) as caught:
        locate(image(paths), "/opt/env")
    assert "prefix /opt/env" in caught.value.message
    assert caught.value.remedy
