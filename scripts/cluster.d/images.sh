# shellcheck shell=bash disable=SC2154  # sourced by scripts/cluster, which sets state, run, provider
# Images without a registry and without a container engine: archives made from folders, and loaded onto the node.

load_image() { # ARCHIVE
    case $provider in
        own) ctr_ images import "$1" >/dev/null ;;
        kind) kind load image-archive "$1" --name "$kind_name" >&2 ;;
        *) load_elsewhere "$1" ;;
    esac
}

# Only our own node is asked; of another one nothing is known, and the image is loaded again.
has_image() { # NAME
    [ "$provider" = own ] && ctr_ images ls -q 2>/dev/null | grep -qxF "$1"
}

folder_image() { # NAME FOLDER COMMAND...
    local archive
    archive=$state/images/$(file_name "$1")
    mkdir -p "$state/images"
    python3 "$parts/archive.py" "$2" "$1" "$archive" "${@:3}"
    load_image "$archive"
}

base_image() { # NAME
    local archive
    archive=$(base_archive "$1")
    has_image "$1" || load_image "$archive"
    echo "$archive"
}

# A minimal Debian with Python (also as `python`, with venv), ps and a shell; prints the archive's path.
base_archive() { # NAME
    local root=$state/base archive
    archive=$state/images/$(file_name "$1")
    if [ ! -e "$root.done" ]; then
        needs_root
        say "making a base of Debian's packages"
        rm -rf "$root"
        mkdir -p "$state"
        debootstrap --variant=minbase \
            --include=python3,python3-venv,python-is-python3,procps,ca-certificates,busybox-static \
            bookworm "$root" "${DEVLOOP_DEBIAN_MIRROR:-http://deb.debian.org/debian}" >&2
        rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
        touch "$root.done"
    fi
    if [ ! "$archive" -nt "$root.done" ]; then
        mkdir -p "$state/images"
        python3 "$parts/archive.py" "$root" "$1" "$archive" /bin/sleep infinity
    fi
    echo "$archive"
}

file_name() { echo "${1//[^A-Za-z0-9._-]/_}.tar"; }
