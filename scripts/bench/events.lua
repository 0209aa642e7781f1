-- For wrk: hands over one event after another, as another service would. TOKENFIRST_TOKEN is its token,
-- TOKENFIRST_TYPE the type of its events.

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. (os.getenv("TOKENFIRST_TOKEN") or "")
wrk.body = '{"type":"' .. (os.getenv("TOKENFIRST_TYPE") or "seed.made") .. '","subject":"42","data":{"total":12}}'

-- a line for programs, after wrk's own report
function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format('{"requests":%d,"seconds":%.3f,"bad_status":%d,"socket_errors":%d}\n',
		summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write + e.timeout))
end
