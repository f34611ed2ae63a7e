"""What `headrace demo` shows: orders, some of them broken, are routed while a worker dies, then recounted."""
