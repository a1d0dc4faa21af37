"""The Argo CD environment: Applications read, switched under a lease, given back; never fought."""
