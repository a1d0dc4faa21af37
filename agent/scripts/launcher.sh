#!/bin/sh
# The launcher: runs the app's command inside its container and replaces its process in place, on the agent's word.
#
#   busybox sh launcher.sh [--run DIR] [--grace SECONDS] [--wait-first-sync[=SECONDS]] -- COMMAND ARGS…
#
# It is the container's first process: it reaps what the app leaves behind, passes signals on, and ends with the
# command's exit status when the pod stops. It needs nothing of the image: only the busybox beside this file, and
# DIR, the one folder that it writes to. What the app prints goes straight to the container's own output.
#
# Everything that happens comes as a line through the fifo DIR/ctl, which is read by one loop. From the agent:
#
#   start N          start the command unless it runs
#   restart N        end it, if it runs, and start it anew
#   signal NAME N    send the command itself a signal; start it if it has ended
#   run ID           run the script DIR/cmd.ID, with its output in DIR/out.ID and DIR/err.ID (fifos that the agent
#                    made) and its exit status in DIR/status.ID
#   kill NAME ID     send the process group of that script a signal
#
# N numbers the agent's orders; the last one that was taken is told in DIR/state, which is replaced whole:
#
#   PHASE PID STARTS STATUS N
#
#   waiting    for the first sync                        starting   the command is being started
#   running                                              stopping   it was told to end, or leaves others behind
#   backoff    it failed; the next try comes by itself   crashed    it failed too often: waits for an order
#   finished   it did what it was for: waits for an order
#
# STATUS is that of the last process as a shell has it (128 + a signal's number), or `-`.
#
# Each command has a keeper, another shell that waits for it and then writes `+ended` to the fifo: a shell that waits
# for a child itself is deaf meanwhile. The keepers are started by `setsid setsid`: the inner one leads a group
# already and therefore forks, so its child is on its own, without the ignored SIGINT that `&` would bring.

# shellcheck disable=SC3045  # read -t is busybox's, which is what runs this

set -u
bb=${0%/*}/busybox
run=/devloop/run

# As the supervisor on the laptop side's own targets has it (devloop.core.supervisor). In hundredths of a second.
at_once=100
healthy=1000
first_pause=50
longest_pause=3000
kill_wait=500
give_up_after=20
# The longest that the loop sleeps: orphans wait for being reaped, and a signal that came in a bad moment waits, too.
nap=100

say() { echo "devloop: $*" >&2; }
fail() {
    say "launcher: $*"
    exit 2
}
detached() { "$bb" setsid "$bb" setsid "$bb" sh "$0" "$@" 3<&-; }
# Opened for both, a fifo never makes its writer wait, whoever reads it.
report() { echo "$*" 1<>"$run/ctl"; }
group_lives() { [ "$pid" -gt 0 ] && kill -0 -"$pid" 2>/dev/null; }

# ---- keepers: this script, in processes of their own -----------------------------------------------------------

keep_command() { # NUMBER COMMAND…: run the command and report its beginning and its end
    number=$1
    shift
    # What this shell itself has to say of it ("Killed") is not the app's output; hence the inner parentheses, too.
    exec 4>&2 2>/dev/null
    # shellcheck disable=SC2016  # expanded by the inner shell
    (exec "$bb" setsid "$bb" sh -c 'echo "+started $2 $$" 1<>"$1"; shift 2; exec "$@"' \
        devloop "$run/ctl" "$number" "$@" 2>&4 4>&-)
    report "+ended $number $?"
}

keep_script() { # ID: run the agent's script, end what it leaves behind, tell its status
    exec 2>/dev/null
    # A fifo's writer waits for a reader, and one whose reader is gone is killed: a script is to outlive the agent.
    # shellcheck disable=SC2016
    (exec "$bb" setsid "$bb" sh -c 'echo $$ >"$1/pid.$2"; exec "$0" sh "$1/cmd.$2"' \
        "$bb" "$run" "$1" 1<>"$run/out.$1" 2<>"$run/err.$1")
    status=$?
    read -r pid <"$run/pid.$1" || pid=0
    tries=0
    while group_lives && [ $tries -lt 30 ]; do
        [ $tries -eq 0 ] && kill -s TERM -"$pid"
        [ $tries -eq 20 ] && kill -s KILL -"$pid"
        tries=$((tries + 1))
        "$bb" usleep 100000
    done
    "$bb" rm -f "$run/pid.$1"
    echo "$status" >"$run/status.$1.new" && "$bb" mv -f "$run/status.$1.new" "$run/status.$1"
}

case ${1-} in
--keep-command)
    run=$2
    shift 2
    keep_command "$@"
    exit
    ;;
--keep-script)
    run=$2
    keep_script "$3"
    exit
    ;;
esac

# ---- what is known of the command ------------------------------------------------------------------------------

phase=starting
goal=
pid=0
starts=0
status=-
order=0
alive=0    # the leader runs, or is on its way
since=0    # when it was started
due=0      # when the present phase has lasted long enough; 0 for never
killed=0
asked=     # the last signal that it was to reload on
failures=0
early=0
signals=   # that came and were not seen to yet

tell() {
    echo "$phase $pid $starts $status $order" >"$run/state.new" && "$bb" mv -f "$run/state.new" "$run/state"
}

become() { # PHASE [HUNDREDTHS]: enter a phase, for at most so long
    phase=$1
    due=0
    if [ $# -eq 2 ]; then
        clock
        due=$((now + $2))
    fi
    tell
}

clock() { # sets `now`, in hundredths of a second
    if read -r up _ </proc/uptime; then
        # A digit in front, or 08 would be read as an octal number.
        now=$((${up%.*} * 100 + 1${up#*.} - 100))
    else
        now=$(($("$bb" date +%s) * 100))
    fi
} 2>/dev/null

hundredths() { # SECONDS: sets `amount`; fails where that is no number
    case $1 in '' | . | *[!0-9.]* | *.*.*) return 1 ;; esac
    whole=${1%%.*}
    part=0
    case $1 in *.*) part=${1#*.} ;; esac
    part=${part}00
    amount=$((${whole:-0} * 100 + 1${part%"${part#??}"} - 100))
}

# ---- what is done with it --------------------------------------------------------------------------------------

launch() {
    starts=$((starts + 1)) pid=0 alive=1 goal='' asked='' killed=0
    clock
    since=$now
    become starting
    detached --keep-command "$run" "$starts" "$@"
}

terminate() { # GOAL SIGNAL: end the group; what follows once it is gone is the goal
    goal=$1
    group_lives && kill -s "$2" -"$pid" 2>/dev/null
    become stopping "$grace"
}

forgive() { failures=0 early=0; }

pause() {
    length=$first_pause
    count=$failures
    while [ "$count" -gt 0 ] && [ "$length" -lt $longest_pause ]; do
        length=$((length * 2)) count=$((count - 1))
    done
    [ "$length" -gt $longest_pause ] && length=$longest_pause
    failures=$((failures + 1))
    say "the command ended with status $status; next try in $((length / 100)).$((length / 10 % 10)) s"
    become backoff "$length"
}

judge() { # the command ended by itself: sets the goal
    clock
    ran=$((now - since))
    [ $ran -ge $healthy ] && forgive
    early=$((early + 1))
    [ $ran -ge $at_once ] && early=0
    goal=backoff
    if [ -n "$asked" ] && [ "$status" -eq $((128 + $(kill -l "$asked"))) ]; then
        goal=start early=0 # it has no handler for the signal that it was to reload on, or had none yet
    elif [ $ran -lt $at_once ] && [ "$status" -eq 0 ]; then
        goal=finished early=0
    elif [ $early -ge $give_up_after ]; then
        goal=crashed
    elif [ $ran -lt $at_once ] && { [ "$status" -eq 126 ] || [ "$status" -eq 127 ]; }; then
        goal=crashed # there is no such command: only a change helps
    fi
}

settle() { # COMMAND…: nothing of the group is left: on to what follows
    pid=0
    case $goal in
    start) launch "$@" ;;
    exit) leave ;;
    backoff) pause ;;
    crashed)
        say "the command ended with status $status; it waits for the next change"
        become crashed
        ;;
    *) become finished ;;
    esac
}

leave() {
    become finished
    [ "$status" = - ] && exit 0
    exit "$status"
}

# ---- what comes in ---------------------------------------------------------------------------------------------

want() { # WORD COMMAND…: start or restart
    word=$1
    shift
    forgive
    case $phase:$word:$goal in
    running:restart:*) terminate start TERM ;;
    # It may have read its files already, so that a restart must reach it all the same.
    starting:restart:exit | stopping:*:exit) tell ;;
    starting:restart:* | stopping:*) goal=start && tell ;;
    running:* | starting:*) tell ;;
    *) launch "$@" ;;
    esac
}

nudge() { # NAME COMMAND…: a signal to the command alone, as servers with workers expect it
    name=$1
    shift
    if [ "$phase" = running ]; then
        asked=$name
        forgive
        kill -s "$name" "$pid" 2>/dev/null
        tell
    elif [ "$phase" = starting ] && [ -z "$goal" ]; then
        goal=$name
        tell
    else
        want start "$@"
    fi
}

started() { # PID COMMAND…
    pid=$1
    shift
    wanted=$goal
    goal=
    become running
    case $wanted in
    '') ;;
    start | exit) terminate "$wanted" TERM ;;
    *) nudge "$wanted" "$@" ;;
    esac
}

ended() { # STATUS
    status=$1 alive=0
    case $phase in
    stopping) tell ;;
    starting | running)
        case $goal in start | exit) ;; *) judge ;; esac
        terminate "$goal" TERM
        ;;
    esac
}

stop() { # SIGNAL: the pod stops
    case $phase in
    starting) goal='exit' ;;
    # More than one is passed on: a second TERM means "at once" to many.
    running | stopping)
        if [ "$goal" = exit ]; then kill -s "$1" -"$pid" 2>/dev/null; else terminate exit "$1"; fi
        ;;
    *) leave ;;
    esac
}

notice() { # SIGNALS: those that came
    for name in $1; do
        case $name in
        TERM | INT | QUIT) stop "$name" ;;
        *) group_lives && kill -s "$name" -"$pid" 2>/dev/null ;;
        esac
    done
}

on_time() { # the present phase has lasted long enough
    case $phase in
    waiting)
        say "no first sync for $patience s: starting the command"
        launch "$@"
        ;;
    backoff) launch "$@" ;;
    stopping)
        if [ "$killed" -gt 0 ] && { [ $alive -eq 0 ] || [ "$goal" = exit ]; }; then
            # Nobody reaps the rest of it, or it is stuck in the kernel.
            [ $alive -eq 1 ] && status=137
            settle "$@"
        else
            [ $killed -eq 0 ] && say "the command did not end in time and is killed"
            killed=1
            kill -s KILL -"$pid" 2>/dev/null
            become stopping $kill_wait
        fi
        ;;
    esac
}

take() { # LINE COMMAND…
    line=$1
    shift
    case $line in
    'start '* | 'restart '*)
        order=${line#* }
        want "${line%% *}" "$@"
        ;;
    'signal '*' '*)
        order=${line##* } line=${line#* }
        nudge "${line%% *}" "$@"
        ;;
    'run '*) detached --keep-script "$run" "${line#* }" ;;
    'kill '*' '*)
        line=${line#* }
        { read -r group <"$run/pid.${line#* }" && kill -s "${line%% *}" -"$group"; } 2>/dev/null
        ;;
    "+started $starts "*) [ "$phase" = starting ] && started "${line##* }" "$@" ;;
    "+ended $starts "*) ended "${line##* }" ;;
    esac
}

# ---- the beginning, and the loop -------------------------------------------------------------------------------

amount=500
patience=60
while [ $# -gt 0 ]; do
    case $1 in
    --run) run=${2-} && shift ;;
    --grace) hundredths "${2-}" || fail "--grace needs seconds, not '${2-}'" && shift ;;
    --wait-first-sync) phase=waiting ;;
    --wait-first-sync=*) phase=waiting patience=${1#*=} ;;
    --) shift && break ;;
    *) fail "unknown argument '$1'" ;;
    esac
    shift
done
grace=$amount
hundredths "$patience" || fail "--wait-first-sync needs seconds, not '$patience'"
[ $# -gt 0 ] || fail "there is no command after --"
[ -x "$bb" ] || fail "there is no busybox at $bb"

# Scripts that were under way ended with the container's life before this one; their agent sees by this that they did.
"$bb" rm -f "$run"/cmd.* "$run"/pid.* "$run"/status.* "$run/ctl"
"$bb" mkfifo -m 660 "$run/ctl" || fail "cannot write to $run: is it a volume of its own, and of this user ($("$bb" id))?"
# Opened for both, so that its end never comes.
exec 3<>"$run/ctl" || fail "cannot open $run/ctl"

for name in TERM INT QUIT HUP USR1 USR2 WINCH; do
    # shellcheck disable=SC2064  # the name is meant now
    trap "signals=\"\$signals $name\"" "$name"
done

# A Python app whose output is a pipe would show its lines minutes late. Most images set this already.
export PYTHONUNBUFFERED="${PYTHONUNBUFFERED-1}"

if [ "$phase" = waiting ]; then become waiting "$amount"; else launch "$@"; fi

while :; do
    if [ -n "$signals" ]; then
        came=$signals signals=
        notice "$came"
    fi
    if [ "$phase" = stopping ] && [ $alive -eq 0 ] && ! group_lives; then settle "$@"; fi
    left=$nap
    if [ "$phase" = stopping ] && [ $alive -eq 0 ]; then left=5; fi
    if [ $due -gt 0 ]; then
        clock
        if [ $due -le "$now" ]; then
            on_time "$@"
            continue
        fi
        if [ $((due - now)) -lt $left ]; then left=$((due - now)); fi
    fi
    # This looks after all children that have ended, also those that are not this shell's own.
    jobs >/dev/null
    left=$((left + 100))
    line=
    if read -r -t "$((left / 100 - 1)).${left#"${left%??}"}" line <&3; then take "$line" "$@"; fi
done
