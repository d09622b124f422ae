-- Create users, each with a name of its own.
local token, run, at = os.getenv("TOKEN"), os.getenv("RUN"), 0
local thread = 0
setup = function(t) t:set("id", thread); thread = thread + 1 end
local head = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }
request = function()
  at = at + 1
  local name = "new-" .. run .. "-" .. id .. "-" .. at
  return wrk.format("POST", "/api/v1/users", head, '{"username":"' .. name .. '","status":"ACTIVE","firstName":"Fenna",'
    .. '"lastName":"Jansen","email":"' .. name .. '@example.com","title":"Engineer","phoneNumber":"+31 20 1234567"}')
end
-- What scripts/bench reads: one line of JSON.
done = function(summary, latency)
  io.write(string.format(
    '{"per_second": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "requests": %d, "failed": %d}\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.requests, summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
