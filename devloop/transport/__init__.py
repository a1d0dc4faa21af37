"""The laptop side of the link: dial, prove, keep alive, reconnect; the only importer of websockets here."""
