-- GET one user, uniformly (or within the first HOT ids).
local token, low, span = os.getenv("TOKEN"), tonumber(os.getenv("FIRST_ID")), tonumber(os.getenv("IDS"))
local head = { ["Authorization"] = "Bearer " .. token }
math.randomseed(os.time())
request = function()
  return wrk.format("GET", "/api/v1/users/" .. (low + math.random(0, span - 1)), head)
end
-- What scripts/bench reads: one line of JSON.
done = function(summary, latency)
  io.write(string.format(
    '{"per_second": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "requests": %d, "failed": %d}\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.requests, summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
