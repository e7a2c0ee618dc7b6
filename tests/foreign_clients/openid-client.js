// Refreshes with openid-client at the auth_server whose URL is given.
import assert from "node:assert/strict";
import * as client from "openid-client";
import { garbage, logIn } from "./log_in.js";

const server = new URL(process.argv[2]);

const authentications = [
  ["app", client.None()],
  ["web", client.ClientSecretBasic("s3cret/+")],
  ["web", client.ClientSecretPost("s3cret/+")],
];
for (const [id, authentication] of authentications) {
  const options = { algorithm: "oauth2", execute: [client.allowInsecureRequests] };
  const config = await client.discovery(server, id, undefined, authentication, options);
  const tokens = await logIn(server);
  for (const token of garbage(tokens.access_token)) {
    const refused = await client.refreshTokenGrant(config, token).then(() => undefined, (error) => error);
    assert(refused instanceof client.ResponseBodyError, String(refused));
    assert.deepEqual([refused.status, refused.error], [400, "invalid_grant"], token);
  }
  const next = await client.refreshTokenGrant(config, tokens.refresh_token, { resource: "https://api.example" });
  assert.notEqual(next.access_token, tokens.access_token);
  assert.equal((await client.refreshTokenGrant(config, next.refresh_token)).idempotent, true);
}
