-- For wrk: the requests of a file, one a line as "METHOD PATH BODY-OR-TOKEN", in random order, by as many users.
--
-- TOKENFIRST_REQUESTS names the file. "POST /login {...}" sends a body, "GET /me TOKEN" a bearer's token.

local requests = {}

function init(args)
	math.randomseed(1)
	for line in io.lines(os.getenv("TOKENFIRST_REQUESTS")) do
		local method, path, rest = line:match("^(%S+) (%S+) (.*)$")
		if method == "POST" then
			requests[#requests + 1] = wrk.format(method, path, {["Content-Type"] = "application/json"}, rest)
		else
			requests[#requests + 1] = wrk.format(method, path, {["Authorization"] = "Bearer " .. rest})
		end
	end
end

function request()
	return requests[math.random(#requests)]
end

-- a line for programs, after wrk's own report; its percentiles are those of a client that waits for each reply
function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format(
		'{"requests":%d,"seconds":%.3f,"bad_status":%d,"socket_errors":%d,"p50_ms":%.3f,"p99_ms":%.3f}\n',
		summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write + e.timeout,
		latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
