"""The server that runs inside the image, as package `mlgate_serving`. Imports nothing of mlgate outside this folder."""
