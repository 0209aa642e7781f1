-- For wrk: asks who the bearer of an access token is, again and again.
--
--   TOKENFIRST_TOKEN=… wrk -t1 -c64 -d10s -s scripts/bench/me.lua http://127.0.0.1:8080/me

wrk.headers["Authorization"] = "Bearer " .. (os.getenv("TOKENFIRST_TOKEN") or "")

-- a line for programs, after wrk's own report
function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format('{"requests":%d,"seconds":%.3f,"bad_status":%d,"socket_errors":%d}\n',
		summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write + e.timeout))
end
