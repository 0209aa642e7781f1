"""Verifies the token on stdin with python3-jwt against a JWK set: 0 it is good, 3 it is refused."""
import json
import sys

import jwt

keys = jwt.PyJWKSet.from_dict(json.load(open(sys.argv[1])))
token = sys.stdin.read().strip()
try:
    kid = jwt.get_unverified_header(token).get("kid")
    key = next((one for one in keys.keys if one.key_id == kid), None)
    if key is None:
        sys.exit(3)
    claims = jwt.decode(token, key.key, algorithms=[sys.argv[2]], audience=sys.argv[3], issuer=sys.argv[4])
    print(json.dumps(claims))
except jwt.InvalidTokenError:
    sys.exit(3)
