"""A relying party with requests-oauthlib: signs in, refreshes, and shows whose tokens it has."""

import http.server
import os

import requests
from requests_oauthlib import OAuth2Session

ISSUER = os.environ["ISSUER"]
CLIENT_ID, CLIENT_SECRET = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
PORT = int(os.environ["PORT"])
HERE = f"http://127.0.0.1:{PORT}"

server = requests.get(f"{ISSUER}/.well-known/openid-configuration", timeout=10).json()
session = OAuth2Session(
    CLIENT_ID,
    redirect_uri=f"{HERE}/callback",
    scope=["openid", "profile", "offline_access"],
    pkce="S256",
)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/":
            url, _ = session.authorization_url(server["authorization_endpoint"])
            self.send_response(303)
            self.send_header("Location", url)
            self.end_headers()
        elif self.path.startswith("/callback?"):
            session.fetch_token(
                server["token_endpoint"],
                authorization_response=HERE + self.path,
                client_secret=CLIENT_SECRET,
            )
            before = session.get(server["userinfo_endpoint"]).json()["name"]
            session.refresh_token(server["token_endpoint"], auth=(CLIENT_ID, CLIENT_SECRET))
            after = session.get(server["userinfo_endpoint"]).json()["name"]
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>Back</title><p>{before} {after}</p>".encode())
        else:
            self.send_error(404)


http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
