// Verifies the token on stdin with npm's jose against a JWK set: 0 it is good, 3 it is refused.
const fs = require("fs");
const jose = require("jose");

const [jwks, alg, audience, issuer] = process.argv.slice(2);
const keys = jose.createLocalJWKSet(JSON.parse(fs.readFileSync(jwks, "utf8")));
const token = fs.readFileSync(0, "utf8").trim();

jose.jwtVerify(token, keys, { algorithms: [alg], audience, issuer, typ: "at+jwt" }).then(
	(good) => console.log(JSON.stringify(good.payload)),
	(error) => process.exit(error instanceof jose.errors.JOSEError ? 3 : 4)
);
