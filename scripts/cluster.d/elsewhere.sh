# shellcheck shell=bash disable=SC2154  # sourced by scripts/cluster, which sets state, provider
# Clusters that are not our own: which one to take, and how images get onto it.

kind_name=devloop

which_provider() {
    if [ -n "${DEVLOOP_E2E_KUBECONFIG:-}" ]; then
        echo given
    elif [ -n "${KUBECONFIG:-}" ] && of_this_machine; then
        echo local
    elif command -v kind >/dev/null && kind get clusters >/dev/null 2>&1; then
        echo kind
    else
        echo own
    fi
}

# Tests make and delete namespaces: only a cluster that is plainly a toy of this machine is taken without being named.
of_this_machine() {
    case $(kubectl config current-context 2>/dev/null) in
        kind-* | k3d-* | minikube) kubectl --request-timeout=5s get --raw /readyz >/dev/null 2>&1 ;;
        *) return 1 ;;
    esac
}

kind_up() {
    mkdir -p "$state"
    kind get clusters 2>/dev/null | grep -qx "$kind_name" || kind create cluster --name "$kind_name" --wait 120s
    kind get kubeconfig --name "$kind_name" >"$state/kind.kubeconfig"
}

load_elsewhere() { # ARCHIVE
    local context
    if [ -n "${DEVLOOP_E2E_LOAD:-}" ]; then
        # a command line on purpose, such as "ctr -n k8s.io images import"
        # shellcheck disable=SC2086
        $DEVLOOP_E2E_LOAD "$1" >&2
        return
    fi
    context=$(kubectl config --kubeconfig "$(kubeconfig)" current-context)
    case $context in
        kind-*) kind load image-archive "$1" --name "${context#kind-}" >&2 ;;
        k3d-*) k3d image import "$1" --cluster "${context#k3d-}" >&2 ;;
        minikube) minikube image load "$1" >&2 ;;
        *) die "no way is known to load an image onto the cluster of the context $context" \
            "set DEVLOOP_E2E_LOAD to a command that takes an archive's path" ;;
    esac
}
