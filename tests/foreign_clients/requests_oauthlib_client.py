"""Refreshes with requests-oauthlib at the auth_server whose URL is given."""

import sys

from log_in import garbage, log_in

from oauthlib.oauth2.rfc6749.errors import InvalidGrantError
from requests_oauthlib import OAuth2Session

server = sys.argv[1].rstrip("/")

for client, more in [
    ("app", {"client_id": "app"}),
    ("web", {"client_id": "web", "client_secret": "s3cret/+"}),
]:
    tokens = log_in(server)
    # It sends the access token that it replaces beside the request, in `Authorization`.
    session = OAuth2Session(client, token=tokens)
    for token in garbage(tokens):
        try:
            session.refresh_token(f"{server}/token", refresh_token=token, **more)
        except InvalidGrantError:
            pass
        else:
            raise AssertionError(f"{token} was accepted")
    refreshed = session.refresh_token(f"{server}/token", refresh_token=tokens["refresh_token"], **more)
    assert refreshed["access_token"] != tokens["access_token"]
    assert refreshed["refresh_token"] != tokens["refresh_token"]
