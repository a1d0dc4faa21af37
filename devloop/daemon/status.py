"""What `devloop status` tells. The values are defined in `devloop.sync.status`, below the views that draw them."""

from devloop.sync.status import VERSION, AppStatus, DiffRow, ProjectStatus, ServiceStatus, SyncStatus, TargetStatus

__all__ = ["VERSION", "AppStatus", "DiffRow", "ProjectStatus", "ServiceStatus", "SyncStatus", "TargetStatus"]
