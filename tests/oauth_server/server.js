// `oidc-provider`, with a short life for access tokens, rotation, and an end to the session when a refresh token comes twice.
// Arguments: the port. Next to the provider's own endpoints:
//   POST /sign-in?client=ID   what a log-in would end with: a token answer
//   GET  /api                 lets a live access token in
//   GET  /counts?client=ID    refreshes, refusals, sessions revoked, and access tokens that were let in
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import Provider, { errors } from 'oidc-provider';


const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const accessTokenLife = 2;
const scope = 'openid offline_access';

const clientOf = (id, more) => ({
  client_id: id,
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: ['http://127.0.0.1/callback'],
  application_type: 'native',
  ...more,
});

const provider = new Provider(issuer, {
  clients: [
    clientOf('public', { token_endpoint_auth_method: 'none' }),
    clientOf('stolen', { token_endpoint_auth_method: 'none' }),
    clientOf('basic', { token_endpoint_auth_method: 'client_secret_basic', client_secret: 'a secret/+' }),
    clientOf('post', { token_endpoint_auth_method: 'client_secret_post', client_secret: 'a secret/+' }),
    clientOf('bound', { token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true }),
  ],
  features: {
    devInteractions: { enabled: false },
    revocation: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
  },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  rotateRefreshToken: true,
  ttl: { AccessToken: accessTokenLife, Grant: 3600, RefreshToken: 3600, IdToken: 3600 },
});

// What happened, by client.
const counts = {};
const countsOf = (id) => (counts[id] ??= { refreshes: 0, refused: 0, revoked: 0, used: new Set() });
const of = (ctx) => countsOf(ctx.oidc.client?.clientId ?? 'nobody');
provider.on('grant.success', (ctx) => { of(ctx).refreshes += 1; });
provider.on('grant.error', (ctx, error) => {
  if (!(error instanceof errors.UseDpopNonce)) of(ctx).refused += 1;
});
provider.on('grant.revoked', (ctx) => { of(ctx).revoked += 1; });

async function signIn(id, jkt) {
  const accountId = 'alice';
  const client = await provider.Client.find(id);
  const grant = new provider.Grant({ accountId, clientId: id });
  grant.addOIDCScope(scope);
  const common = { accountId, client, grantId: await grant.save(), gty: 'authorization_code', scope };
  const bind = (token) => { if (jkt) token.jkt = jkt; return token.save(); };
  return {
    access_token: await bind(new provider.AccessToken(common)),
    refresh_token: await bind(new provider.RefreshToken(common)),
    token_type: jkt ? 'DPoP' : 'Bearer',
    expires_in: accessTokenLife,
  };
}

async function api(authorization = '') {
  const token = await provider.AccessToken.find(authorization.replace(/^Bearer /i, ''));
  if (!token?.isValid) return [401, { error: 'invalid_token' }];
  countsOf(token.clientId).used.add(token.jti);
  return [200, { sub: token.accountId }];
}

const callback = provider.callback();
createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  const answer = (status, body) => {
    const challenge = status === 401 && { 'www-authenticate': 'Bearer error="invalid_token"' };
    response.writeHead(status, { 'content-type': 'application/json', ...challenge });
    response.end(JSON.stringify(body));
  };
  request.on('error', () => response.destroy());
  switch (url.pathname) {
    case '/sign-in': return answer(200, await signIn(url.searchParams.get('client'), url.searchParams.get('jkt')));
    case '/api': return answer(...await api(request.headers.authorization));
    case '/counts': {
      const { used, ...others } = countsOf(url.searchParams.get('client'));
      return answer(200, { used: used.size, ...others });
    }
    default: return callback(request, response);
  }
}).listen(port, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${port}`));
