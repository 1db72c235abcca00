"""The dashboard: pages made on the server, which a script only makes nicer."""

from serving.dashboard.routes import mount_dashboard

__all__ = ["mount_dashboard"]
