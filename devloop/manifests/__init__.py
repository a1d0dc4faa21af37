"""Files of Kubernetes manifests: read, changed in place, printed, with everything else left byte for byte."""
