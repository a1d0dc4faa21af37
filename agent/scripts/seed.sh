#!/bin/sh
# Copies the image's own files into the volume that will be mounted over them: an init container of the app's image.
#
#   busybox sh seed.sh FROM VOLUME PATTERN…
#
# FROM is the folder in the image; the copy is VOLUME/data. Mode and modification time are kept, the owner is whoever
# runs this. A pattern means what a line of a .gitignore means, and what is below a match comes with it: `**` is
# everything, `node_modules` or `*.so` is found at any depth, `/dist` and `vendor/**` at the top only. There are `*`
# and `?` (within one name), `**` (across folders) and a leading or trailing slash; no `!` and no `[…]`.
#
# What this user cannot read is left out, counted, and listed in VOLUME/state/unseeded, one path a line, for the agent
# to tell; so are sockets, devices and names with a line break. Anything else that fails, fails the pod: half a copy
# would look like files that somebody deleted. VOLUME/state/seeded says that all is done, and makes this a no-op when
# the pod's init containers run again, so that nothing synced since is overwritten.

set -u
bb=${0%/*}/busybox

fail() {
    echo "devloop: seed: $*" >&2
    exit 1
}

[ $# -ge 3 ] || fail "usage: seed.sh FROM VOLUME PATTERN…"
from=$1 data=$2/data state=$2/state
shift 2
"$bb" mkdir -p "$data" "$state" || fail "cannot write to ${data%/data}: is it a volume of this user ($("$bb" id))?"
if [ -e "$state/seeded" ]; then
    echo "devloop: seed: $from was copied already"
    exit 0
fi
if ! [ -e "$from" ]; then
    # All of the app comes from the laptop, then: an image need not have the folder.
    echo "devloop: seed: the image has no $from, so there is nothing to copy"
    : >"$state/seeded" || fail "cannot write to $state"
    exit 0
fi
[ -d "$from" ] || fail "$from is not a folder of the image: check \`to\`, or set \`seed: none\`"
{ [ -r "$from" ] && [ -x "$from" ]; } || fail "$from cannot be read by this user ($("$bb" id))"

begun=$("$bb" date +%s)

lists=$state/seeding
"$bb" rm -f "$lists".*

# ---- what is there: one path a line, a folder before what is in it ----------------------------------------------

# shellcheck disable=SC2016  # expanded by the inner shell
(cd "$from" && "$bb" find . -mindepth 1 -exec "$bb" sh -c '
    break="
"
    for path do
        case $path in
        *"$break"*)
            printf %s "$path" | "$0" tr "\n" "?" >&5
            echo >&5
            continue
            ;;
        esac
        if [ -L "$path" ]; then
            echo "$path" >&3
        elif [ -d "$path" ] && [ -r "$path" ] && [ -x "$path" ]; then
            echo "$path" >&4
        elif [ -f "$path" ] && [ -r "$path" ]; then
            echo "$path" >&3
        else
            echo "$path" >&5
        fi
    done' "$bb" {} +) 3>"$lists.files" 4>"$lists.folders" 5>"$lists.left" 2>"$lists.trouble"
# A folder that cannot be read is in the list already; what else find says is a failure.
if "$bb" grep -v ': Permission denied$' "$lists.trouble" >&2; then fail "looking through $from failed"; fi

# ---- what is wanted of it: the matches, and the folders above them, the deepest first ----------------------------

printf '%s\n' "$@" >"$lists.patterns"
"$bb" tac "$lists.folders" >"$lists.reversed" || fail "cannot write to $state"
# shellcheck disable=SC2016  # awk's own
"$bb" awk '
    function regex(glob,    made, at, rest, char) {
        sub("/+$", "", glob)
        made = index(glob, "/") ? "" : "(.*/)?"
        sub("^/", "", glob)
        for (at = 1; at <= length(glob); at++) {
            rest = substr(glob, at)
            char = substr(glob, at, 1)
            if (rest ~ /^\*\*\//) { made = made "(.*/)?"; at += 2 }
            else if (rest ~ /^\*\*/) { made = made ".*"; at++ }
            else if (char == "*") made = made "[^/]*"
            else if (char == "?") made = made "[^/]"
            else if (index(".[]{}()+^$|\\", char)) made = made "\\" char
            else made = made char
        }
        return "^[.]/" made "(/.*)?$"
    }
    FILENAME ~ /patterns$/ { wanted[++count] = regex($0); next }
    {
        found = $0 in above
        for (which = 1; which <= count && !found; which++) found = $0 ~ wanted[which]
        if (!found) next
        print > (FILENAME ".wanted")
        path = $0
        while (sub("/[^/]*$", "", path) && !(path in above)) above[path] = 1
    }' "$lists.patterns" "$lists.files" "$lists.left" "$lists.reversed" || fail "choosing by the patterns failed"

# ---- the copy ----------------------------------------------------------------------------------------------------

copy() { # LIST: copy what it names, and nothing that is not named
    [ -s "$1" ] || return 0
    # shellcheck disable=SC2016  # expanded by the inner shell
    (cd "$from" && "$bb" tr '\n' '\0' <"$1" | "$bb" xargs -0 "$bb" sh -c '
        data=$1 read=$2
        shift 2
        { "$0" tar -c --no-recursion -f - "$@" && : >"$read"; } | "$0" tar -x -o -C "$data" -f - || exit 1
        "$0" rm "$read"' "$bb" "$data" "$lists.read") ||
        fail "copying $from to $data failed, see above: is there room on the node and in the volume?"
}

# Modes are the source's; tar gives them to what it makes, and to nothing that is there already.
umask 0
: >>"$lists.reversed.wanted"
"$bb" tac "$lists.reversed.wanted" >"$lists.folders" || fail "cannot write to $state"
copy "$lists.folders"
# Folders that their owner may not write to get that mode when they are full.
"$bb" find "$data" -type d ! -perm -700 -exec "$bb" chmod u+rwx {} + || fail "$data is not this user's"
copy "$lists.files.wanted"
# Their times once more, each after what is in them, as a folder's time changes with its content.
copy "$lists.reversed.wanted"
# shellcheck disable=SC2016  # expanded by the inner shell
(cd "$from" && "$bb" find . -mindepth 1 -type d ! -perm -700 -exec "$bb" sh -c '
    data=$1
    shift
    for path do
        [ ! -d "$data/$path" ] || "$0" chmod "$("$0" stat -c %a "$path")" "$data/$path" || exit 1
    done' "$bb" "$data" {} + 2>"$lists.trouble")
if "$bb" grep -v ': Permission denied$' "$lists.trouble" >&2; then fail "setting the modes of folders failed"; fi

# ---- done --------------------------------------------------------------------------------------------------------

umask 022
# The folder itself, too, but for its owner's right to it, without which nothing could be synced.
"$bb" chmod "$("$bb" stat -c %a "$from")" "$data" || fail "$data is not this user's"
"$bb" chmod u+rwx "$data"

count() { if [ -e "$1" ]; then "$bb" wc -l <"$1"; else echo 0; fi; }
files=$(count "$lists.files.wanted") left=$(count "$lists.left.wanted") size=$("$bb" du -sk "$data")
if [ "$left" -gt 0 ]; then "$bb" mv -f "$lists.left.wanted" "$state/unseeded" || fail "cannot write to $state"; fi
"$bb" rm -f "$lists".*
: >"$state/seeded" || fail "cannot write to $state"
echo "devloop: seed: copied $files files of $from, ${size%%[!0-9]*} KiB, in $(($("$bb" date +%s) - begun)) s;" \
    "$left could not be read and were left out"
