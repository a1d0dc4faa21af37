"""Which watch descriptor stands for which folder: a tree that follows creation, removal and loss.

Pure bookkeeping for `devloop.watch.inotify`; it makes no system calls and belongs to one thread.
"""

from __future__ import annotations


class Folder:
    """One watched folder.

    Attributes:
        wd: Its watch descriptor.
        path: Relative to the root; empty for the root.
        prefix: What goes before a name in it to make that name's path.
        parent: The folder that holds it; None for the root.
        name: Its last segment.
        children: Its watched folders, by name.
    """

    __slots__ = ("children", "name", "parent", "path", "prefix", "wd")

    def __init__(self, wd: int, parent: Folder | None, name: str) -> None:
        self.wd = wd
        self.prefix: str
        self.parent = parent
        self.name = name
        self.path = parent.prefix + name if parent is not None else ""
        self.prefix = f"{self.path}/" if self.path else ""
        self.children: dict[str, Folder] = {}


class Folders:
    """All watched folders of one root.

    Attributes:
        by_wd: The folder of each descriptor; read directly by the event loop of the backend, for speed.
    """

    def __init__(self) -> None:
        self.by_wd: dict[int, Folder] = {}
        self.root: Folder | None = None

    def __len__(self) -> int:
        return len(self.by_wd)

    def put(self, wd: int, parent: Folder | None, name: str) -> Folder:
        """Note that this descriptor watches this folder, whatever either stood for before."""
        folder = Folder(wd, parent, name)
        if parent is None:
            self.root = folder
        else:
            parent.children[name] = folder
        self.by_wd[wd] = folder
        return folder

    def drop(self, folder: Folder) -> list[int]:
        """Forget a folder and all below it.

        Returns:
            The descriptors that stand for nothing any more. One that was given to another path meanwhile, because
            the folder was renamed, is not among them.
        """
        if folder.parent is not None and folder.parent.children.get(folder.name) is folder:
            del folder.parent.children[folder.name]
        free = []
        pending = [folder]
        while pending:
            each = pending.pop()
            pending.extend(each.children.values())
            if self.by_wd.get(each.wd) is each:
                del self.by_wd[each.wd]
                free.append(each.wd)
        return free

    def find(self, path: str) -> Folder | None:
        """Return the watched folder at a path, or None."""
        folder = self.root
        for name in path.split("/") if path else ():
            if folder is None:
                return None
            folder = folder.children.get(name)
        return folder
