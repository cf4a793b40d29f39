"""A configuration's hash tells nothing of a secret, and everything else apart."""

from __future__ import annotations

import pytest

from kpwatch.config.masked import hash_of, masked, secrets_in

SAME = [
    ({"password": "a"}, {"password": "b"}),
    ({"instances": [{"Bearer_Token_String": "a"}]}, {"instances": [{"Bearer_Token_String": "b"}]}),
    ({"headers": ["X-Token", "a"]}, {"headers": ["X-Token", "b"]}),
    ({"urls": ["http://me:a@h/?token=a"]}, {"urls": ["http://me:b@h/?token=b"]}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_secrets_do_not_count(one: object, other: object) -> None:
    assert hash_of(one) == hash_of(other)


def test_all_else_counts() -> None:
    """Values, names, order."""
    every = [{"a": 1}, {"a": 2}, {"b": 1}, {"urls": ["http://a/", "http://b/"]}, {"urls": ["http://b/", "http://a/"]}]
    assert len({hash_of(one) for one in every}) == len(every)
    assert masked({"url": "http://me:x@h/p?q", "n": 1.5}) == {"url": "http://h/p", "n": 1.5}


SECRETS = [
    ({"instances": [{"password": "swordfish", "username": "me"}]}, {"swordfish", "bWU6c3dvcmRmaXNo"}),
    ({"headers": ["Authorization", "Bearer abc"]}, {"Bearer abc", "abc"}),
    ({"urls": ["http://me:pw@h/"]}, {"pw", "bWU6cHc="}),
    ({"url": "http://h/a@b"}, set()),
    ({"url": "http://h/?a=b&token=c"}, {"b", "c"}),
]


@pytest.mark.parametrize(("tables", "secrets"), SECRETS)
def test_every_shape_of_a_secret(tables: object, secrets: set[str]) -> None:
    """As it is written and as it is sent."""
    assert secrets_in(tables) == secrets
