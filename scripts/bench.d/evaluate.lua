-- May the user in 20 groups of 1,000 entries do this to that? Every second question is about an action nobody has.
local token, user = os.getenv("TOKEN"), os.getenv("SUBJECT")
local head = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }
local actions = { "READ", "DELETE" }
math.randomseed(os.time())
request = function()
  return wrk.format("POST", "/access/v1/evaluation", head, '{"subject":{"type":"user","id":"' .. user .. '"},"action":{"name":"'
    .. actions[math.random(2)] .. '"},"resource":{"type":"SEGMENT","id":"' .. math.random(0, 19999) .. '"}}')
end
-- What scripts/bench reads: one line of JSON.
done = function(summary, latency)
  io.write(string.format(
    '{"per_second": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "requests": %d, "failed": %d}\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.requests, summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
