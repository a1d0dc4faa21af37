"""The laptop side of the link: dial, prove, keep alive, reconnect."""
