"""Two runs that find the same leftover: both see it gone, and neither complains."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from docker.errors import APIError, NotFound
from requests.exceptions import ReadTimeout

from muster.machines import container


def _client(removal: Exception | None, waiting: Exception | None = None) -> Mock:
    leftover = Mock(remove=Mock(side_effect=removal), wait=Mock(side_effect=waiting))
    leftover.name = "leftover"
    nothing = Mock(list=Mock(return_value=[]))
    return Mock(containers=Mock(list=Mock(return_value=[leftover])), networks=nothing, volumes=nothing)


def _refused(status: int) -> APIError:
    return APIError("refused", response=SimpleNamespace(status_code=status, reason="", url=""))


def test_a_container_that_somebody_else_is_removing_is_waited_for() -> None:
    client = _client(_refused(409))
    assert container.remove_labelled(client, {"a": "b"}) == ["leftover"]
    client.containers.list()[0].wait.assert_called_once()


@pytest.mark.parametrize("waiting", [NotFound("gone"), ReadTimeout()])
def test_one_that_is_gone_meanwhile_or_takes_too_long_is_no_failure(waiting: Exception) -> None:
    container.remove_labelled(_client(_refused(409), waiting), {"a": "b"})


def test_another_refusal_is_not_hidden() -> None:
    with pytest.raises(APIError):
        container.remove_labelled(_client(_refused(500)), {"a": "b"})
