"""PURE: a pod template in, a pod template with the agent in it out, and back again."""
