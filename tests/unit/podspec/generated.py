"""Pod templates and services of every shape, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from devloop.podspec import request

ids = st.integers(0, 70000)
text = st.text("abc/$()", max_size=6)
probe: st.SearchStrategy[Any] = st.one_of(st.none(), st.just({}), st.just({"httpGet": {"path": "/", "port": 80}}))
folders = st.sampled_from(["/app", "/app/conf", "/app/a/b", "/srv/x", "/srv", "/data/", "/other"])
volumes = ["code", "conf", "claim"]


def listed(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.lists(items, max_size=3))


variables = st.fixed_dictionaries({"name": st.sampled_from(["A", "B", "C"])}, optional={"value": text})
mounts = st.fixed_dictionaries(
    {"name": st.sampled_from(volumes), "mountPath": folders},
    optional={"subPath": st.just("x"), "readOnly": st.booleans()},
)
words = st.one_of(st.none(), st.lists(text, max_size=2))
apps = st.fixed_dictionaries(
    {"name": st.just("app"), "image": st.just("web:1"), "securityContext": st.fixed_dictionaries({"runAsUser": ids})},
    optional={
        "command": words,
        "args": words,
        "workingDir": st.sampled_from(["/app", "/x"]),
        "env": listed(variables),
        "volumeMounts": listed(mounts),
        "livenessProbe": probe,
        "startupProbe": probe,
        "readinessProbe": probe,
        "lifecycle": st.just({}),
    },
)
others = st.just({"name": "other", "image": "x"})
SOURCES: dict[str, dict[str, Any]] = {
    "code": {"emptyDir": {}},
    "conf": {"configMap": {"name": "c"}},
    "claim": {"persistentVolumeClaim": {"claimName": "c"}},
}
pods = st.fixed_dictionaries(
    {
        "spec": st.builds(
            lambda app, more, rest: {**rest, "containers": [*more, app]},
            apps,
            st.lists(others, max_size=1),
            st.fixed_dictionaries(
                {"volumes": st.just([{"name": name, **source} for name, source in SOURCES.items()])},
                optional={"initContainers": listed(st.just({"name": "init", "image": "x"}))},
            ),
        )
    },
    optional={
        "metadata": st.one_of(
            st.none(),
            st.just({}),
            st.fixed_dictionaries({}, optional={"annotations": st.sampled_from([None, {}, {"a": "b"}])}),
        )
    },
)
services = st.builds(
    lambda to, command, env, rest: request.Service(
        "web", tuple(request.Sync(each) for each in to), "app", command=tuple(command), env=tuple(env.items()), **rest
    ),
    st.sampled_from([["/app"], ["/srv/x", "/app"], ["/other"], ["/data", "/srv"]]),
    st.lists(text, max_size=2),
    st.dictionaries(st.sampled_from(["A", "B", "Z"]), text, max_size=2),
    st.fixed_dictionaries(
        {
            "supervise": st.booleans(),
            "probes": st.sampled_from(request.Probes),
            "image": st.sampled_from(["", "web:1", "web:2"]),
            "workdir": st.sampled_from(["", "/app"]),
            "persist": st.sampled_from([(), ("/app/node_modules",)]),
        }
    ),
)
