/** Signs in at `auth_server` and returns its token response. */
export async function logIn(server) {
  const response = await fetch(new URL("/login", server), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ username: "alice", password: "wonderland" }),
  });
  return response.json();
}

/** Texts that are not refresh tokens of the server. */
export const garbage = (accessToken) => ["garbage", "8f14e45f-ceea-467f-a8c1-0d1f4a5b6c7d", accessToken];
