# shellcheck shell=bash disable=SC2154  # sourced by scripts/cluster, which sets state, bin, run
# Our own cluster of one node: which programs run, with what, and how they are started and stopped one by one.
#
# It uses loopback, and a bridge of its own for the pods. It is made to work in a sandbox without systemd, without
# some capabilities, on cgroup v1.

node=devnode
bridge=devbr0
gateway=10.97.0.1
pods=10.97.0.0/24
services=10.98.0.0/16
dns=10.98.0.10
api=17443
etcd=17379
peer=17380

# In the order in which they are started; they are stopped in the opposite one.
programs=(etcd apiserver controllers scheduler containerd kubelet proxy dns)

node_up() {
    compile
    needs_root
    mkdir -p "$run/log" "$run/cni" "$run/manifests"
    make_certificates
    write_kubeconfig admin
    write_kubeconfig kubelet
    make_network
    local each
    for each in "${programs[@]}"; do part_start "$each"; done
    wait_for 30 'the default service account' kubectl_ get serviceaccount default
}

node_down() {
    local at
    for ((at = ${#programs[@]} - 1; at >= 0; at--)); do
        # the containers themselves: they would outlive containerd
        [ "${programs[at]}" != containerd ] || kill_containers
        part_stop "${programs[at]}"
    done
    [ "${1:-}" != --purge ] || drop_data
}

drop_data() {
    "$bin/kube-proxy" --cleanup >/dev/null 2>&1 || true
    grep -o " $run/[^ ]*" /proc/mounts | sort -r | xargs -r umount -l 2>/dev/null || true
    ip link del $bridge 2>/dev/null || true
    rm -rf "$run"
}

node_status() {
    local each
    for each in "${programs[@]}"; do
        if alive "$each"; then echo "$each: runs, process $(cat "$run/$each.pid")"; else echo "$each: stopped"; fi
    done
}

# The API server refuses a loopback address as its own endpoint, and the kubelet one as its node's: hence the bridge.
make_network() {
    if ! ip link show $bridge >/dev/null 2>&1; then
        ip link add $bridge type bridge
        ip addr add $gateway/24 dev $bridge
        ip link set $bridge up
    fi
    # the name server's: pods reach it without a Service and without kube-proxy
    ip addr replace $dns/32 dev $bridge
    sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
}

# ---- one program ------------------------------------------------------------------------------------------------

part_start() {
    known "$1"
    if ! alive "$1"; then "run_$1"; fi
    "ready_$1"
}

part_stop() {
    known "$1"
    alive "$1" || return 0
    local pid
    pid=$(cat "$run/$1.pid")
    kill "$pid"
    for _ in $(seq 100); do
        alive "$1" || break
        sleep 0.1
    done
    alive "$1" && kill -9 "$pid"
    rm -f "$run/$1.pid"
}

part_restart() {
    part_stop "$1"
    part_start "$1"
}

known() {
    [[ " ${programs[*]} " = *" $1 "* ]] || die "the cluster has no part $1" "one of: ${programs[*]}"
}

# A pid is only ours while its command line still names our folder: a reboot gives the number to others.
alive() {
    local pid
    pid=$(cat "$run/$1.pid" 2>/dev/null) && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$run/"
}

launch() { # NAME COMMAND...: in the background, a session of its own, without our lock
    local name=$1
    shift
    say "starting $name"
    setsid nohup "$@" >>"$run/log/$name.log" 2>&1 </dev/null 9>&- &
    echo $! >"$run/$name.pid"
}

wait_for() { # SECONDS WHAT COMMAND...
    local left=$(($1 * 4)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((left-- > 0)) || die "$what did not come up" "its log is in $run/log"
        sleep 0.25
    done
}

# ---- the control plane ------------------------------------------------------------------------------------------

run_etcd() {
    launch etcd etcd --data-dir "$run/etcd" \
        --listen-client-urls http://127.0.0.1:$etcd --advertise-client-urls http://127.0.0.1:$etcd \
        --listen-peer-urls http://127.0.0.1:$peer --initial-advertise-peer-urls http://127.0.0.1:$peer \
        --initial-cluster default=http://127.0.0.1:$peer
}

ready_etcd() { wait_for 30 etcd bash -c "exec 3<>/dev/tcp/127.0.0.1/$etcd"; }

run_apiserver() {
    local pki=$run/pki
    launch apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:$etcd \
        --secure-port=$api --advertise-address=$gateway --service-cluster-ip-range=$services \
        --client-ca-file="$pki/ca.crt" --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" \
        --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
        --kubelet-client-certificate="$pki/admin.crt" --kubelet-client-key="$pki/admin.key" \
        --service-account-issuer=https://kubernetes.default.svc \
        --service-account-key-file="$pki/sa.key" --service-account-signing-key-file="$pki/sa.key" \
        --authorization-mode=Node,RBAC --allow-privileged=true --enable-aggregator-routing=true \
        --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- \
        --proxy-client-cert-file="$pki/front.crt" --proxy-client-key-file="$pki/front.key"
}

ready_apiserver() { wait_for 60 'the API server' kubectl_ get --raw /readyz; }

run_controllers() {
    launch controllers "$bin/kube-controller-manager" --kubeconfig="$run/admin.kubeconfig" --leader-elect=false \
        --bind-address=127.0.0.1 --port=0 \
        --service-account-private-key-file="$run/pki/sa.key" --root-ca-file="$run/pki/ca.crt" \
        --cluster-signing-cert-file="$run/pki/ca.crt" --cluster-signing-key-file="$run/pki/ca.key"
}

ready_controllers() { :; }

run_scheduler() {
    launch scheduler "$bin/kube-scheduler" --kubeconfig="$run/admin.kubeconfig" --leader-elect=false \
        --bind-address=127.0.0.1 --port=0
}

ready_scheduler() { :; }

# ---- the node ---------------------------------------------------------------------------------------------------

run_containerd() {
    cat >"$run/cni/10-devloop.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "devloop", "plugins": [
  {"type": "bridge", "bridge": "$bridge", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
    # restrict_oom_score_adj: a sandbox without CAP_SYS_RESOURCE cannot lower a score, and runc then dies.
    cat >"$run/containerd.toml" <<TOML
version = 2
root = "$run/containerd"
state = "$run/containerd-state"
[grpc]
  address = "$run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "$run/cni"
TOML
    launch containerd containerd -c "$run/containerd.toml"
}

ready_containerd() {
    wait_for 20 containerd ctr_ version
    has_image localhost/pause:1 && return
    mkdir -p "$run/pause"
    install "$bin/pause" "$run/pause/pause"
    folder_image localhost/pause:1 "$run/pause" /pause
}

ctr_() { ctr -a "$run/containerd.sock" -n k8s.io "$@"; }

kill_containers() {
    local each
    alive containerd || return 0
    for each in $(ctr_ tasks ls -q 2>/dev/null); do
        ctr_ tasks kill -s KILL "$each" >/dev/null 2>&1 || true
    done
}

run_kubelet() {
    cat >"$run/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $gateway
port: 17250
healthzPort: 17248
authentication: {x509: {clientCAFile: $run/pki/ca.crt}, anonymous: {enabled: false}, webhook: {enabled: true}}
authorization: {mode: Webhook}
tlsCertFile: $run/pki/kubelet.crt
tlsPrivateKeyFile: $run/pki/kubelet.key
cgroupDriver: cgroupfs
failSwapOn: false
enforceNodeAllocatable: []
evictionHard: {nodefs.available: "1%", imagefs.available: "1%", memory.available: 50Mi}
imageGCHighThresholdPercent: 100
resolvConf: /etc/resolv.conf
staticPodPath: $run/manifests
clusterDNS: [$dns]
clusterDomain: cluster.local
YAML
    launch kubelet "$bin/kubelet" --config="$run/kubelet.yaml" --kubeconfig="$run/kubelet.kubeconfig" \
        --hostname-override=$node --node-ip=$gateway --root-dir="$run/kubelet" \
        --container-runtime=remote --container-runtime-endpoint="unix://$run/containerd.sock"
}

# The node's condition is an old one after a restart: what answers exec and logs is the kubelet itself.
ready_kubelet() {
    # by its process: one that was just stopped keeps its socket until the last of its threads has ended
    wait_for 60 'the kubelet' bash -c "ss -Hltnp 'sport = :17250' | grep -q 'pid=$(cat "$run/kubelet.pid"),'"
    wait_for 60 'the node' kubectl_ wait --for=condition=Ready node/$node --timeout=1s
}

run_proxy() {
    launch proxy "$bin/kube-proxy" --kubeconfig="$run/admin.kubeconfig" --hostname-override=$node \
        --proxy-mode=iptables --cluster-cidr=$pods --conntrack-max-per-core=0 \
        --healthz-bind-address=127.0.0.1:17256 --metrics-bind-address=127.0.0.1:17249
}

ready_proxy() { :; }

# ---- names ------------------------------------------------------------------------------------------------------

run_dns() {
    launch dns "$parts/names" "$run/names" $dns cluster.local "$run/admin.kubeconfig"
}

ready_dns() { wait_for 20 'the name server' test -s "$run/names/ready"; }
