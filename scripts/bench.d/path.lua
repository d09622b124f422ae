-- GET PATHS in turn, one per line.
local token, paths, at = os.getenv("TOKEN"), {}, 0
for path in os.getenv("PATHS"):gmatch("[^\n]+") do paths[#paths + 1] = path end
local head = { ["Authorization"] = "Bearer " .. token }
request = function()
  at = at % #paths + 1
  return wrk.format("GET", paths[at], head)
end
-- What scripts/bench reads: one line of JSON.
done = function(summary, latency)
  io.write(string.format(
    '{"per_second": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "requests": %d, "failed": %d}\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.requests, summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
