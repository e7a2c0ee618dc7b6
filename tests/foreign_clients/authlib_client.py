"""Refreshes with Authlib at the auth_server whose URL is given, and validates its access tokens as
Authlib's resource server does (RFC 9068)."""

import sys

import requests

from log_in import garbage, log_in

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator

server = sys.argv[1].rstrip("/")


class Validator(JWTBearerTokenValidator):
    def get_jwks(self):
        return requests.get(f"{server}/.well-known/jwks.json", timeout=10).json()


def validate(token):
    validator = Validator(issuer=server, resource_server="https://api.example")
    claims = validator.authenticate_token(token)
    validator.validate_token(claims, None, None)
    return claims


for client, secret, method in [
    ("app", None, "none"),
    ("web", "s3cret/+", "client_secret_basic"),
    ("web", "s3cret/+", "client_secret_post"),
]:
    tokens = log_in(server)
    first = validate(tokens["access_token"])
    session = OAuth2Session(client, secret, token_endpoint_auth_method=method, token=tokens)
    for token in garbage(tokens):
        try:
            session.refresh_token(f"{server}/token", refresh_token=token)
        except OAuthError as refused:
            assert refused.error == "invalid_grant", refused
        else:
            raise AssertionError(f"{token} was accepted")
    refreshed = session.refresh_token(f"{server}/token", refresh_token=tokens["refresh_token"])
    assert refreshed["idempotent"] is True, refreshed
    claims = validate(refreshed["access_token"])
    assert (claims["sub"], claims["sid"], claims["client_id"]) == ("alice", first["sid"], client), claims
