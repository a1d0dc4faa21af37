"""The admission webhook and the sweeper: what Ops install once in a cluster, in a process and an image of their own."""
