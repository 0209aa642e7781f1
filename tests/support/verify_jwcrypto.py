"""Verifies the token on stdin with python3-jwcrypto against a JWK set: 0 it is good, 3 it is refused."""
import sys

from jwcrypto import jwk, jwt
from jwcrypto.common import JWException

keys = jwk.JWKSet.from_json(open(sys.argv[1]).read())
token = sys.stdin.read().strip()
try:
    print(jwt.JWT(jwt=token, key=keys, algs=[sys.argv[2]]).claims)
except (JWException, ValueError):
    sys.exit(3)
