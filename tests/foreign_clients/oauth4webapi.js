// Refreshes with oauth4webapi at the auth_server whose URL is given, and validates its access tokens as
// the library's resource server does (RFC 9068).
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";
import { garbage, logIn } from "./log_in.js";

const server = new URL(process.argv[2]);
const insecure = { [oauth.allowInsecureRequests]: true };

const found = await oauth.discoveryRequest(server, { algorithm: "oauth2", ...insecure });
const as = await oauth.processDiscoveryResponse(server, found);

async function refresh(client, authentication, token) {
  const response = await oauth.refreshTokenGrantRequest(as, client, authentication, token, insecure);
  return oauth.processRefreshTokenResponse(as, client, response);
}

async function validate(token) {
  const request = new Request("https://api.example/", { headers: { authorization: `Bearer ${token}` } });
  return oauth.validateJwtAccessToken(as, request, "https://api.example", insecure);
}

const clients = [
  [{ client_id: "app" }, oauth.None()],
  [{ client_id: "web" }, oauth.ClientSecretBasic("s3cret/+")],
  [{ client_id: "web" }, oauth.ClientSecretPost("s3cret/+")],
];
for (const [client, authentication] of clients) {
  const tokens = await logIn(server);
  const first = await validate(tokens.access_token);
  assert.equal(first.sub, "alice");
  for (const token of garbage(tokens.access_token)) {
    const refused = await refresh(client, authentication, token).then(() => undefined, (error) => error);
    assert(refused instanceof oauth.ResponseBodyError, String(refused));
    assert.deepEqual([refused.status, refused.error], [400, "invalid_grant"], token);
  }
  const next = await refresh(client, authentication, tokens.refresh_token);
  assert.equal(next.idempotent, true);
  const claims = await validate(next.access_token);
  assert.deepEqual([claims.sub, claims.sid, claims.client_id], ["alice", first.sid, client.client_id]);
}
