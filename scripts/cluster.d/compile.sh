# shellcheck shell=bash disable=SC2154  # sourced by scripts/cluster, which sets state, bin, run
# The programs of our own cluster: etcd, containerd, runc, dnsmasq and the CNI plugins as Debian's packages have them, and
# Kubernetes 1.20 compiled from Debian's source package, five to eight minutes on two cores, once.

packages=(containerd runc etcd-server containernetworking-plugins dnsmasq-base iptables iproute2 conntrack openssl debootstrap
    golang-1.19-go golang-github-modern-go-reflect2-dev dpkg-dev make rsync jq gcc libc6-dev python3)
# Raised when what is compiled changes, so that what older ones left is compiled again.
recipe=2
components=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet)

compile() {
    compiled && return
    needs_root
    needs_bookworm
    install_packages
    ! built || return 0
    mkdir -p "$bin" "$state/src"
    compile_kubernetes
    compile_pause
    rm -rf "$state/src"
}

compiled() {
    local each
    for each in containerd etcd runc kubectl dnsmasq; do command -v $each >/dev/null || return 1; done
    built
}

built() {
    local each
    [ "$(cat "$bin/recipe" 2>/dev/null)" = $recipe ] || return 1
    for each in "${components[@]}" pause; do [ -x "$bin/$each" ] || return 1; done
}

needs_root() {
    [ "$(id -u)" = 0 ] || die "a cluster of our own needs root" \
        "run as root, install kind, or name a cluster in DEVLOOP_E2E_KUBECONFIG"
}

needs_bookworm() {
    (. /etc/os-release 2>/dev/null && [ "${VERSION_CODENAME:-}" = bookworm ]) ||
        die "a cluster of our own is made from the packages of Debian bookworm, and this is another system" \
            "install kind, or name a cluster in DEVLOOP_E2E_KUBECONFIG"
}

install_packages() {
    say "installing ${#packages[@]} packages"
    export DEBIAN_FRONTEND=noninteractive
    command -v kubectl >/dev/null || packages+=(kubernetes-client)
    sed 's/^Types: deb$/Types: deb-src/' /etc/apt/sources.list.d/debian.sources \
        >/etc/apt/sources.list.d/devloop-src.sources
    # a third-party source that does not answer must not stop us: what is missing shows at the installation
    apt-get update -q >&2 || true
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "${packages[@]}" >&2
}

compile_kubernetes() (
    say "compiling Kubernetes"
    cd "$state/src" || exit
    apt-get source -q kubernetes >&2
    tree=$(echo kubernetes-1.20*/)
    mkdir -p gopath/src/k8s.io
    ln -sfn "$PWD/${tree%/}" gopath/src/k8s.io/kubernetes
    cd gopath/src/k8s.io/kubernetes || exit
    # What 1.20 vendors reads maps in a way that Go 1.18 changed: the first custom resource kills the API server.
    reflect=vendor/github.com/modern-go/reflect2
    rm -f $reflect/*.go $reflect/*.s
    cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} $reflect/
    # The release's own makefile: it also writes the generated OpenAPI code that a bare `go build` lacks.
    GOPATH=$state/src/gopath GO111MODULE=off CGO_ENABLED=0 PATH=/usr/lib/go-1.19/bin:$PATH \
        make WHAT="${components[*]/#/cmd/}" >&2
    for each in "${components[@]}"; do install _output/local/bin/linux/*/"$each" "$bin/$each"; done
    echo $recipe >"$bin/recipe"
)

# The container that holds a pod's namespaces: no registry, no ready image of it.
compile_pause() {
    cat >"$state/src/pause.c" <<'C'
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void stop(int s) { (void)s; exit(0); }
static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0); }
int main(void) { signal(SIGINT, stop); signal(SIGTERM, stop); signal(SIGCHLD, reap); for (;;) pause(); }
C
    gcc -O2 -static -o "$bin/pause" "$state/src/pause.c"
}
