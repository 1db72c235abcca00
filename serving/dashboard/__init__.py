"""The dashboard: pages made on the server, which a script only makes nicer."""

from serving.dashboard.routes import Dashboard, mount_dashboard

__all__ = ["Dashboard", "mount_dashboard"]
