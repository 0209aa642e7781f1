-- For wrk: logs one user in, again and again.
--
--   wrk -t1 -c16 -d10s -s scripts/bench/login.lua http://127.0.0.1:8080/login
--
-- TOKENFIRST_USER and TOKENFIRST_PASSWORD name another user than the demo's alice.
-- wrk waits for each reply before it sends again, so its throughput can be quoted and its percentiles can't:
-- those flatter a server that stalls. build/tests/support/open_loop keeps its rate.

local user = os.getenv("TOKENFIRST_USER") or "alice"
local password = os.getenv("TOKENFIRST_PASSWORD") or "correct horse battery staple"

local function quoted(text)
	return '"' .. text:gsub('[%c"\\]', function(c)
		return string.format("\\u%04x", c:byte())
	end) .. '"'
end

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"username":' .. quoted(user) .. ',"password":' .. quoted(password) .. "}"

-- a line for programs, after wrk's own report
function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format('{"requests":%d,"seconds":%.3f,"bad_status":%d,"socket_errors":%d}\n',
		summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write + e.timeout))
end
