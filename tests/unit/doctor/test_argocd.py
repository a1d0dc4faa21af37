"""What the doctor makes of the rights on Applications: too few are said, and so are too many."""

from __future__ import annotations

from devloop.doctor import argocd, facts
from devloop.doctor.report import Level, Line


def right(verb: str, allowed: facts.Maybe[bool]) -> facts.Right:
    return facts.Right(verb, "applications.argoproj.io", f"kubectl auth can-i {verb} applications", allowed)


def home(
    namespace: str, *, reads: facts.Maybe[bool] = True, patch: facts.Maybe[bool] = False, own: bool = False
) -> facts.Home:
    return facts.Home(namespace, own, (right("get", reads), right("list", reads)), right("patch", patch))


def lines(*homes: facts.Home, server: str = "", there: facts.Maybe[bool] = True, asked: bool = True) -> list[Line]:
    return [*argocd.check(facts.Argocd(there=there, asked=asked, server=server, homes=homes))]


def test_a_cluster_without_argo_cd_is_nobodys_business_unless_asked() -> None:
    assert lines(there=False, asked=False) == []
    (line,) = lines(there=False)
    assert (line.level, line.code) == (Level.WARN, "DL1001")
    assert [each.level for each in lines(there=False, server="https://a.example")] == [Level.PASS]
    assert [each.level for each in lines(there=facts.Unknown("x"))] == [Level.UNKNOWN]


def test_reading_is_enough_for_most() -> None:
    found = lines(home("argocd", reads=False, own=True), home("ann"))
    assert [each.level for each in found] == [Level.PASS, Level.PASS]
    assert found[0].text == "may be read in ann"
    assert "may not be changed" in found[1].text


def test_no_right_to_read_says_which_and_where() -> None:
    found = lines(home("argocd", reads=False, own=True), home("ann", reads=False))[0]
    assert found.level is Level.WARN
    assert "may not get and list" in found.text
    assert "argocd or ann" in found.text
    assert "config/rbac/argocd" in found.fix
    assert found.details


def test_an_answer_that_is_missing_is_not_a_no() -> None:
    found = lines(home("argocd", reads=facts.Unknown("broken"), own=True))[0]
    assert (found.level, "broken" in found.text) == (Level.UNKNOWN, True)


def test_patch_in_argo_cds_own_namespace_is_too_much() -> None:
    found = lines(home("argocd", patch=True, own=True), home("ann"))[-1]
    assert found.level is Level.WARN
    assert "administrator of Argo CD" in found.text
    assert "argocd.server" in found.fix
    # also where the server is used and the right is of no use
    assert lines(home("argocd", patch=True, own=True), server="https://a.example")[-1].level is Level.WARN


def test_patch_in_a_namespace_of_ones_own_is_as_it_should_be() -> None:
    found = lines(home("argocd", own=True), home("ann", patch=True))[-1]
    assert (found.level, "in ann, within what their AppProject allows" in found.text) == (Level.PASS, True)


def test_rights_that_nobody_asks_for_are_not_missed() -> None:
    assert lines(home("argocd", reads=False, own=True), asked=False) == []
    assert len(lines(home("argocd", own=True), asked=False)) == 2


def test_both_are_told() -> None:
    found = lines(home("argocd", patch=True, own=True), home("ann", patch=True))
    assert [each.level for each in found] == [Level.PASS, Level.WARN, Level.PASS]
