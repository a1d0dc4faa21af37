# Sourced by the other scripts: makes the project's own environment and sets $python to its interpreter.
#
#   ensure_env GROUP   an environment in .venv with the project (editable) and the dependency group
#
# Uses uv where it is on PATH, else venv and pip. DEVLOOP_VENV names another folder for it.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${DEVLOOP_VENV:-$root/.venv}
python=$venv/bin/python

find_python() { # the first interpreter that is new enough
    local candidate
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "error: no Python >= 3.11 on PATH; set PYTHON to one" >&2
    return 1
}

ensure_env() {
    local group=$1 stamp found
    stamp=$venv/.devloop-$group.stamp
    # up to date: nothing that names dependencies is newer than the last installation
    [ -x "$python" ] && [ "$stamp" -nt "$root/pyproject.toml" ] && return
    found=$(find_python)
    echo "making the environment in $venv ($group)" >&2
    if command -v uv >/dev/null; then
        [ -x "$python" ] || uv venv --quiet --python "$found" "$venv"
        (cd "$root" && uv pip install --quiet --python "$python" --group "$group" --editable .)
    else
        [ -x "$python" ] || "$found" -m venv "$venv"
        "$python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
        (cd "$root" && "$python" -m pip install --quiet --disable-pip-version-check --group "$group" --editable .)
    fi
    touch "$stamp"
}
