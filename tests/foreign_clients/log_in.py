"""What the scripts beside it share."""

import os

import requests

# The server of the test listens on the loopback address, without TLS.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"


def log_in(server):
    """Signs in at auth_server and returns its token response."""
    credentials = {"username": "alice", "password": "wonderland"}
    response = requests.post(f"{server}/login", json=credentials, timeout=10)
    response.raise_for_status()
    return response.json()


def garbage(tokens):
    """Texts that are not refresh tokens of the server."""
    return ["garbage", "8f14e45f-ceea-467f-a8c1-0d1f4a5b6c7d", tokens["access_token"]]
