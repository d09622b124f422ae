-- Log in.
local head = { ["Content-Type"] = "application/x-www-form-urlencoded" }
request = function()
  return wrk.format("POST", "/oauth/token", head,
    "grant_type=password&client_id=tenantry&username=admin&password=" .. os.getenv("PASSWORD"))
end
-- What scripts/bench reads: one line of JSON.
done = function(summary, latency)
  io.write(string.format(
    '{"per_second": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "requests": %d, "failed": %d}\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.requests, summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
