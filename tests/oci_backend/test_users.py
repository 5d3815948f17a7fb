from __future__ import annotations

import pytest

from coopery.oci.layers_view import LayersFiles
from coopery.snapshots.users import Account, UnknownUser, account, owner

HUGE = b"1" * 5000
PASSWD = b"""root:x:0:0:root:/root:/bin/sh
app:x:1000:1001::/home/app:
1234:x:5:6::relative:
bad:x:y:z::/:
short
\xff:
huge:x:%s:0::/:
tall:x:1:%s::/:
""" % (HUGE, HUGE)
GROUP = b"root:x:0:\napps:x:1001:\nvideo:x:44:app,other\nbad:x:no:app\n"


@pytest.fixture
def files(workshop, make):
    layer = make.layer(workshop, [make.text("etc/passwd", PASSWD), make.text("etc/group", GROUP)])
    return LayersFiles([layer], workshop.blobs)


@pytest.mark.parametrize(
    ("user", "who"),
    [
        ("", Account(0, 0, (0,), "/root")),
        ("root", Account(0, 0, (0,), "/root")),
        ("app", Account(1000, 1001, (44,), "/home/app")),
        ("1000", Account(1000, 1001, (44,), "/home/app")),
        ("app:video", Account(1000, 44, (44,), "/home/app")),
        ("1234", Account(5, 6, (6,), "/")),
        ("4242", Account(4242, 0, (0,), "/")),
        ("4242:apps", Account(4242, 1001, (1001,), "/")),
    ],
)
def test_accounts_are_those_of_the_image(files, user, who):
    assert account(files, user) == who


@pytest.mark.parametrize(
    ("text", "ids"), [("0:0", (0, 0)), ("7", (7, 7)), ("app", (1000, 1001)), ("app:0", (1000, 0)), ("7:video", (7, 44))]
)
def test_owners_of_copies(files, text, ids):
    assert owner(files, text) == ids


@pytest.mark.parametrize(
    "user",
    ["stranger", "bad", "huge", "tall", "\u0661", "app:strangers", "app:bad", "4294967295", "1" * 5000, "-1", ":"],
)
def test_who_is_unknown(files, user):
    with pytest.raises(UnknownUser):
        account(files, user)


def test_an_image_without_users_has_numbers(workshop):
    files = LayersFiles([], workshop.blobs)
    assert account(files, "") == Account(0, 0, (0,), "/")
    with pytest.raises(UnknownUser):
        account(files, "root")
