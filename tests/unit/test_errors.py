"""Every error has words, a hint, a code and a status."""

from typing import Any

import pytest

from devloop import errors

EVERY = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.DevloopError) and kind is not errors.ConfigErrors
]


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_says_what_it_was_given(kind: type[errors.DevloopError]) -> None:
    error = kind("what happened", hint="how to fix it")
    assert (str(error), error.message, error.hint) == ("what happened", "what happened", "how to fix it")
    assert error.error_code == kind.code and error.code.startswith("DL") and len(error.code) == 6
    assert error.exit_status is not errors.Exit.OK


def test_codes_are_of_one_class_each() -> None:
    codes = [kind.code for kind in EVERY if "code" in vars(kind)]
    assert len(codes) == len(set(codes))


def test_a_code_of_its_own_goes_before_the_classs() -> None:
    assert errors.LocalError("x", code="DL0342").error_code == "DL0342"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.UsageError, 2),
        (errors.ConfigError, 2),
        (errors.RootError, 2),
        (errors.LocalError, 1),
        (errors.AgentError, 1),
        (errors.OwnedError, 7),
        (errors.LinkError, 5),
        (errors.RemoteProtocolError, 5),
        (errors.AuthError, 4),
        (errors.SkewError, 6),
        (errors.ClusterError, 1),
        (errors.KubeconfigError, 2),
        (errors.ContextError, 2),
        (errors.CredentialsError, 4),
        (errors.ForbiddenError, 4),
        (errors.NotThereError, 1),
        (errors.UnreachableError, 5),
        (errors.ForwardError, 5),
    ],
)
def test_statuses_are_public(kind: type[errors.DevloopError], status: int) -> None:
    assert int(kind.exit_status) == status


def test_a_place_in_a_file_is_told_as_compilers_do() -> None:
    assert errors.ConfigError("x", file="devloop.yaml", line=3, column=5).location() == "devloop.yaml:3:5"
    assert errors.ConfigError("x", file="devloop.yaml").location() == "devloop.yaml:1:1"
    assert errors.ConfigError("x").location() == ""


def test_several_errors_are_told_as_the_first_and_keep_the_rest() -> None:
    one = errors.ConfigError("one", hint="h", file="f", line=1, column=2, code="DL0201")
    both = errors.ConfigErrors([one, errors.ConfigError("two")])
    assert (both.message, both.hint, both.error_code, both.location()) == ("one", "h", "DL0201", "f:1:2")
    assert [each.message for each in both.errors] == ["one", "two"]


def test_the_first_of_a_group_is_found_however_deep() -> None:
    inner = errors.LinkError("deep")
    below: Any = ExceptionGroup("b", [inner])
    group: ExceptionGroup[errors.DevloopError] = ExceptionGroup("a", [below, errors.LinkError("x")])
    assert errors.first(group) is inner


def test_the_first_of_a_groups_errors_ends_a_block_and_a_bug_is_not_hidden() -> None:
    one, other = errors.LinkError("one"), errors.UsageError("other")
    with pytest.raises(errors.LinkError, match=r"^one$"), errors.single():
        raise ExceptionGroup("", [ExceptionGroup("", [one]), other])
    with pytest.raises(ExceptionGroup), errors.single():
        raise ExceptionGroup("", [one, ValueError("a bug")])
    with pytest.raises(errors.UsageError), errors.single():
        raise other
