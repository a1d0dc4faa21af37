# shellcheck shell=bash disable=SC2154  # sourced by scripts/cluster and used by node.sh, which set run, api and the rest
# Who is who in our own cluster: one certificate authority, and a certificate and kubeconfig for each party.

make_certificates() {
    mkdir -p "$run/pki"
    [ -f "$run/pki/sa.key" ] && return
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=devloop-cluster \
        -keyout "$run/pki/ca.key" -out "$run/pki/ca.crt" 2>/dev/null
    local own="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc"
    sign apiserver /CN=kube-apiserver "IP:127.0.0.1,IP:$gateway,IP:${services%.0.0/16}.0.1,$own"
    sign admin /O=system:masters/CN=admin DNS:admin
    sign kubelet "/O=system:nodes/CN=system:node:$node" "IP:$gateway,DNS:$node"
    sign front /CN=front-proxy DNS:front-proxy
    openssl genrsa -out "$run/pki/sa.key" 2048 2>/dev/null
}

sign() { # NAME SUBJECT ALTERNATIVE-NAMES
    local pki=$run/pki
    openssl req -newkey rsa:2048 -nodes -subj "$2" -keyout "$pki/$1.key" -out "$pki/$1.csr" 2>/dev/null
    openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 \
        -out "$pki/$1.crt" 2>/dev/null \
        -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$3")
}

write_kubeconfig() { # USER
    cat >"$run/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: devloop, cluster: {server: "https://127.0.0.1:$api", certificate-authority: $run/pki/ca.crt}}]
users: [{name: $1, user: {client-certificate: $run/pki/$1.crt, client-key: $run/pki/$1.key}}]
contexts: [{name: devloop, context: {cluster: devloop, user: $1, namespace: default}}]
current-context: devloop
YAML
}
