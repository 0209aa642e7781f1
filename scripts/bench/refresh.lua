-- For wrk: refreshes one session after another, each token used once. TOKENFIRST_TOKENS names a file with a refresh
-- token a line, more of them than wrk has connections: the one that an answer brings waits for its turn at the end.
-- A server that answers without a token gets the same ones again, so that both can be measured with one generator.

local ring, size, first, last, head, tail = {}, 0, 0, 0, nil, nil

function init(args)
	for line in io.lines(os.getenv("TOKENFIRST_TOKENS")) do
		ring[size] = line
		size = size + 1
	end
	local place = string.rep("@", #ring[0])
	wrk.method = "POST"
	wrk.headers["Content-Type"] = "application/json"
	head, tail = wrk.format(nil, nil, nil, '{"refresh_token":"' .. place .. '"}'):match("^(.-)@+(.*)$")
end

function request()
	local token = ring[first]
	first = (first + 1) % size
	return head .. token .. tail
end

function response(status, headers, body)
	ring[last] = body:match('"refresh_token":"([^"]+)"') or ring[last]
	last = (last + 1) % size
end

-- a line for programs, after wrk's own report
function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format('{"requests":%d,"seconds":%.3f,"bad_status":%d,"socket_errors":%d}\n',
		summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write + e.timeout))
end
