"""What runs in locust's processes. Nothing outside this folder imports it: locust patches sockets and threads."""
